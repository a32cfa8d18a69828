"""What devices say themselves, and who may not say it for them."""

import pytest
from sqlalchemy import text

from service.domain import receipt
from service.domain.delivery import State
from service.store.readers import receipts
from service.store.session import transaction
from tests import builders as a


@pytest.fixture
def alert_id(engine):
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="sending")
        a.a_batch(session, alert, [State.ACCEPTED] * 3, shard_n=4, n=2)
        return alert.id


@pytest.fixture
def say(client, settings):
    def say(alert_id, position, kind="shown", secret=None, **how):
        key = (secret or settings.secret_key).encode()
        token = receipt.sign(key, alert_id, 4, 2, position, **how)
        return client.post("/api/receipts", json={"receipt": token, "kind": kind})

    return say


@pytest.fixture
def counted(client, as_editor):
    def counted(alert_id):
        return client.get(f"/api/alerts/{alert_id}", headers=as_editor).json()["receipts"]

    return counted


def test_what_devices_say_is_counted_once_each(say, counted, alert_id):
    for position, kind in [(0, "shown"), (0, "opened"), (2, "shown"), (2, "shown")]:
        answer = say(alert_id, position, kind)
        assert (answer.status_code, answer.content) == (204, b"")
    assert counted(alert_id) == {"shown": 2, "opened": 1}


def test_a_forged_receipt_is_refused_and_counts_nothing(say, client, counted, alert_id):
    assert say(alert_id, 0, secret="somebody else's secret").status_code == 403
    for token in ("x", "é", "A" * 35, "A" * 201):
        answer = client.post("/api/receipts", json={"receipt": token, "kind": "shown"})
        assert answer.status_code == 403
    assert counted(alert_id) == {"shown": 0, "opened": 0}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"receipt": "x", "kind": "read"}, "kind"),
        ({"receipt": "x"}, "kind"),
        ({"kind": "shown"}, "receipt"),
        ({"receipt": "", "kind": "shown"}, "receipt"),
        ({"receipt": "x" * 2049, "kind": "shown"}, "receipt"),
        ({"receipt": 7, "kind": "shown"}, "receipt"),
    ],
)
def test_a_wrong_field_is_named(client, body, field):
    answer = client.post("/api/receipts", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_receipt_for_an_alert_that_is_kept_no_more_is_taken_and_forgotten(say):
    assert say(a.an_id(), 0).status_code == 204


def test_a_receipt_needs_no_other_credential(client, say, alert_id):
    assert "authorization" not in client.headers
    assert say(alert_id, 1, "opened").status_code == 204


@pytest.fixture
def sign(settings):
    def sign(alert_id, position, secret=None, **how):
        key = (secret or settings.secret_key).encode()
        return receipt.sign(key, alert_id, 4, 2, position, **how)

    return sign


def test_what_a_reader_does_not_share_is_answered_the_same_and_counted_nowhere(
    say, client, sign, counted, alert_id, engine
):
    answers = [say(alert_id, 0, "opened", counts=counts) for counts in (False, True, False)]
    heads = [{k: v for k, v in one.headers.items() if k != "x-request-id"} for one in answers]
    assert [(one.status_code, one.content) for one in answers] == [(204, b"")] * 3
    assert heads[0] == heads[1] == heads[2]
    items = [{"receipt": sign(alert_id, n, counts=n == 1), "kind": "shown"} for n in range(3)]
    answer = client.post("/api/receipts", json={"items": items})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 3, "refused": []})
    assert counted(alert_id) == {"shown": 1, "opened": 1}


def test_many_receipts_in_one_call_count_once_each(client, counted, sign, alert_id):
    marks = [(0, "shown"), (0, "opened"), (1, "shown"), (0, "shown")]
    items = [{"receipt": sign(alert_id, position), "kind": kind} for position, kind in marks]
    items.insert(1, {"receipt": sign(alert_id, 2, "somebody else's secret"), "kind": "shown"})
    answer = client.post("/api/receipts", json={"items": items})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 4, "refused": [1]})
    assert counted(alert_id) == {"shown": 2, "opened": 1}


def test_a_position_that_its_batch_does_not_have_counts_nothing(say, counted, alert_id):
    assert say(alert_id, 3).status_code == 204
    assert say(alert_id, 65_000).status_code == 204
    assert counted(alert_id) == {"shown": 0, "opened": 0}


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([{"receipt": "x", "kind": "shown"}] * 501, "items"),
        ([{"receipt": "x", "kind": "shown"}, {"receipt": "x", "kind": "read"}], "items.1.kind"),
        ([{"kind": "shown"}], "items.0.receipt"),
        ("x", "items"),
    ],
)
def test_a_wrong_field_among_many_is_named(client, items, field):
    answer = client.post("/api/receipts", json={"items": items})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_no_receipts_at_all_are_no_fault(client):
    answer = client.post("/api/receipts", json={"items": []})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "refused": []})


def test_a_receipt_that_its_group_cannot_write_is_written_alone(
    say, counted, alert_id, monkeypatch
):
    add_marks = receipts.add_marks

    def refuse_groups(session, marks, known_rows=None):
        if known_rows is not None:
            raise ValueError
        add_marks(session, marks)

    monkeypatch.setattr(receipts, "add_marks", refuse_groups)
    assert say(alert_id, 0).status_code == 204
    assert counted(alert_id) == {"shown": 1, "opened": 0}


def test_receipts_count_again_after_their_rows_vanished_as_by_a_restored_backup(
    say, counted, alert_id, engine
):
    say(alert_id, 0)
    with transaction(engine) as session:
        session.execute(text("DELETE FROM receipt"))
    assert say(alert_id, 1).status_code == 204
    assert say(alert_id, 2, "opened").status_code == 204
    assert counted(alert_id) == {"shown": 1, "opened": 1}
