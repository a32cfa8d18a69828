"""A process of which nothing leaves takes no work from those that can send."""

import pytest

from workers.pacing.way_out import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    NOT_SENT_THAT_CLOSE,
    SharedNote,
    WayOut,
)


def closed(now: float = 0.0) -> WayOut:
    way = WayOut()
    for _ in range(NOT_SENT_THAT_CLOSE):
        way.note_not_sent(now)
    return way


def test_a_few_pushes_that_did_not_leave_close_nothing() -> None:
    way = WayOut()
    assert not any(way.note_not_sent(0.0) for _ in range(NOT_SENT_THAT_CLOSE - 1))
    assert way.may_try(0.0)
    assert not way.note_answer()
    assert not way.note_not_sent(0.0)
    assert not way.is_closed


def test_what_was_in_flight_together_closes_the_way_once() -> None:
    way = WayOut()
    assert [way.note_not_sent(0.0) for _ in range(900)].count(True) == 1
    assert not way.may_try(FIRST_WAIT_S - 0.01)
    assert way.may_try(FIRST_WAIT_S)


def test_one_request_for_many_devices_is_as_many_pushes() -> None:
    assert WayOut().note_not_sent(0.0, 1000)


def test_a_closed_way_is_tried_less_and_less_often() -> None:
    way = closed()
    waits = []
    for _ in range(12):
        now = way.next_try_at
        assert way.note_not_sent(now)
        waits.append(way.next_try_at - now)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S


def test_an_answer_opens_the_way_at_once() -> None:
    way = closed()
    assert way.note_answer()
    assert way.may_try(0.0)
    assert not way.is_closed


@pytest.mark.parametrize("words", ["apns: not sent: no route", "é" * 400])
def test_a_note_is_read_until_it_is_taken_back(words: str) -> None:
    note = SharedNote()
    assert note.read() is None
    note.write(words)
    assert (note.read() or "")[:100] == words[:100]
    note.clear()
    assert note.read() is None
