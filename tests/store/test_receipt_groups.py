"""A process's memory of receipts: whatever others write meanwhile, every mark is on record once."""

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.store.readers import receipt_groups, receipts
from service.store.readers.receipt_groups import ReceiptRows, TooManyWriters
from service.store.readers.receipts import Counts, Mark
from tests import builders as a


@pytest.fixture
def place(session):
    alert = a.an_alert(session, a.a_story(session), state="sending")
    a.a_batch(session, alert, [State.ACCEPTED] * 20)
    return alert.id, 0, 0


def opened(place, *positions):
    return receipts.merge((*place, position, Mark.OPENED) for position in positions)


def counted(session, place):
    (sums,) = session.execute(
        text("SELECT (SELECT sum(o) FROM unnest(openings) WITH ORDINALITY AS x(o, n)"
             " WHERE n % 2 = 0) FROM receipt")
    ).one()  # fmt: skip
    return receipts.counts(session, [place[0]])[place[0]], sums


def test_two_processes_that_write_the_same_batch_lose_nothing_and_count_nothing_twice(
    session, place
):
    ours, theirs = ReceiptRows(), ReceiptRows()
    ours.add_marks(session, opened(place, 0, 1))
    theirs.add_marks(session, opened(place, 1, 2))
    ours.add_marks(session, opened(place, 2, 3))
    theirs.add_marks(session, opened(place, 0, 4, 4))
    assert counted(session, place) == (Counts(shown=0, opened=5), 5)


def test_one_statement_writes_what_is_remembered(session, place, monkeypatch):
    rows = ReceiptRows()
    rows.add_marks(session, opened(place, 0))
    monkeypatch.setattr(receipt_groups, "_READ", None)
    monkeypatch.setattr(receipt_groups, "make_rows", None)
    rows.add_marks(session, opened(place, 1))
    assert counted(session, place) == (Counts(shown=0, opened=2), 2)


def test_a_row_that_a_restored_backup_took_away_is_made_again(session, place):
    rows = ReceiptRows()
    rows.add_marks(session, opened(place, 0))
    session.execute(text("DELETE FROM receipt"))
    rows.add_marks(session, opened(place, 1))
    assert counted(session, place) == (Counts(shown=0, opened=1), 1)


def test_a_batch_that_is_gone_and_a_position_that_is_not_there_take_no_mark(session, place):
    rows = ReceiptRows()
    rows.add_marks(session, opened(place, 7, 20, 9000))
    assert counted(session, place) == (Counts(shown=0, opened=1), 1)
    session.execute(text("DELETE FROM receipt"))
    session.execute(text("DELETE FROM batch"))
    rows.add_marks(session, opened(place, 1))
    assert session.execute(text("SELECT count(*) FROM receipt")).scalar_one() == 0


def test_what_is_remembered_is_bounded_and_forgotten_rows_are_read_again(
    session, place, monkeypatch
):
    other = a.an_alert(session, a.a_story(session), state="sending")
    a.a_batch(session, other, [State.ACCEPTED] * 3)
    monkeypatch.setattr(receipt_groups, "MAX_ROWS", 2)
    rows = ReceiptRows()
    both = opened(place, 0) | opened((other.id, 0, 0), 0)
    rows.add_marks(session, both)
    rows.add_marks(session, opened(place, 1) | opened((other.id, 0, 0), 1))
    counts = receipts.counts(session, [place[0], other.id])
    assert {alert: count.opened for alert, count in counts.items()} == {place[0]: 2, other.id: 2}


def test_who_never_gets_a_turn_takes_the_ordinary_path(session, place, monkeypatch):
    rows = ReceiptRows()
    rows.add_marks(session, opened(place, 0))
    monkeypatch.setattr(receipt_groups, "MAX_TRIES", 1)
    receipts.add_marks(session, opened(place, 1))
    with pytest.raises(TooManyWriters):
        rows.add_marks(session, opened(place, 2))
