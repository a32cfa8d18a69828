"""A channel's condition: the table of transitions, row by row."""

import pytest

from workers.delivery.condition import (
    AlertRefused,
    Ended,
    Held,
    HoldAsked,
    HoldOnRecord,
    NoHoldOnRecord,
    Open,
    PauseAsked,
    Paused,
    ProbeAccepted,
    Probing,
    may_send,
    next_condition,
)

KNOWN, OURS = Held(on_record=True), Held(on_record=False)
CONDITIONS = [Open(), Paused(5.0), Probing(), KNOWN, OURS]
TABLE = {
    PauseAsked(7.0): [Paused(7.0), Paused(7.0), KNOWN, KNOWN, OURS],
    PauseAsked(3.0): [Paused(3.0), Paused(5.0), KNOWN, KNOWN, OURS],
    HoldAsked(on_record=True): [KNOWN] * 5,
    HoldAsked(on_record=False): [OURS] * 5,
    AlertRefused(): [Ended(on_record=False)] * 5,
    ProbeAccepted(): [Open(), Paused(5.0), Open(), KNOWN, OURS],
    HoldOnRecord(): [KNOWN, KNOWN, Probing(), KNOWN, KNOWN],
    NoHoldOnRecord(): [Open(), Paused(5.0), Open(), Open(), OURS],
}


@pytest.mark.parametrize("event", TABLE, ids=repr)
def test_an_event_leads_from_every_condition_where_the_table_says(event):
    assert [next_condition(condition, event) for condition in CONDITIONS] == TABLE[event]


@pytest.mark.parametrize("event", TABLE, ids=repr)
@pytest.mark.parametrize("on_record", [True, False])
def test_an_alert_that_was_rejected_stays_ended_and_a_write_takes_that_down(event, on_record):
    written = isinstance(event, HoldOnRecord | NoHoldOnRecord)
    assert next_condition(Ended(on_record), event) == Ended(on_record or written)


@pytest.mark.parametrize(
    ("condition", "now", "sends"),
    [
        (Open(), 0.0, True),
        (Probing(), 0.0, True),
        (Paused(5.0), 4.9, False),
        (Paused(5.0), 5.0, True),
        (KNOWN, 9.0, False),
        (OURS, 9.0, False),
        (Ended(on_record=True), 9.0, False),
    ],
)
def test_pushes_leave_in_some_conditions_only(condition, now, sends):
    assert may_send(condition, now) is sends
