"""A batch under our lease: what answers do to it and what it asks to be written."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.delivery import AFTER_ACCEPTED, Delivery, State, next_step
from service.domain.device import History
from service.domain.verdict import (
    Accepted,
    DeviceGone,
    FollowUp,
    SenderRejected,
    TryLater,
)
from service.store.deliveries.batch_claims import ClaimedBatch
from service.store.deliveries.batch_writes import LeaseChange
from workers.delivery.leased_batch import Doubt, LeasedBatch

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_batch(states=bytes(4), waits=None, deadline=NOW + timedelta(hours=1), progress=()):
    ids = list(range(101, 101 + len(states)))
    claimed = ClaimedBatch(0, 7, "fcm", 99, ids, bytes(states), list(progress), waits or {})
    return LeasedBatch(claimed, deadline, lambda: NOW)


def states(batch):
    return [Delivery.unpack(byte).state for byte in batch.states]


def test_the_table_of_acceptances_says_what_next_step_says():
    for byte in range(256):
        if byte & 7 < len(State):
            step = next_step(Delivery.unpack(byte), Accepted(), now=NOW, deadline=NOW, jitter=0)
            assert AFTER_ACCEPTED[byte] == step.delivery.pack()


def test_only_positions_that_are_open_and_due_are_sent():
    batch = a_batch(bytes([0, 1, 1, 2]), waits={2: 30.0})
    assert batch.positions_due() == [0, 1]


def test_a_try_later_waits_as_long_as_the_provider_says():
    batch = a_batch()
    batch.settle(1, TryLater("HTTP 429", after=timedelta(seconds=40)), 0.5)
    for position in (0, 2, 3):
        batch.accept(position, 10)
    wanted = batch.write(give_back=True)
    assert wanted.lease_change is LeaseChange.RELEASE
    [(position, seconds, why)] = wanted.waits
    assert (position, why) == (1, "HTTP 429")
    assert 40 <= seconds <= 50
    assert wanted.due_s == seconds


def test_a_wait_past_the_deadline_expires_the_delivery():
    batch = a_batch(bytes(1), deadline=NOW + timedelta(seconds=30))
    batch.settle(0, TryLater("HTTP 429", after=timedelta(seconds=31)), 0.0)
    assert states(batch) == [State.EXPIRED]


@pytest.mark.parametrize("state", [State.EXPIRED, State.CANCELLED])
def test_the_last_reason_is_kept_when_the_alert_ends(state):
    batch = a_batch(bytes(3))
    batch.settle(1, TryLater("not sent: the certificate is unknown"), 0.0)
    batch.accept(0, 10)
    batch.close([1, 2], state)
    last_write = batch.write(give_back=True)
    assert last_write.lease_change is LeaseChange.END
    assert last_write.waits == [(1, 0.0, "not sent: the certificate is unknown")]


def test_the_reason_of_an_attempt_that_came_too_late_is_kept():
    batch = a_batch(bytes(1), deadline=NOW + timedelta(seconds=30))
    batch.settle(0, TryLater("HTTP 503", after=timedelta(seconds=31)), 0.0)
    assert batch.write(give_back=True).waits == [(0, 0.0, "HTTP 503")]


def test_a_batch_of_acceptances_keeps_no_reason():
    batch = a_batch(bytes(2))
    batch.settle(0, TryLater("HTTP 503"), 0.0)
    batch.end_waits()
    batch.accept(0, 10)
    batch.accept(1, 10)
    assert batch.write(give_back=True).waits == []


def test_a_batch_with_something_unsent_is_released_to_be_claimed_at_once():
    batch = a_batch()
    batch.settle(1, TryLater("HTTP 503", after=timedelta(seconds=40)), 0.0)
    assert batch.write(give_back=True).due_s == 0.0


def test_a_batch_is_done_when_every_position_is_final():
    batch = a_batch()
    for position in range(4):
        batch.accept(position, 26 * position)
    wanted = batch.write(give_back=True)
    assert wanted.lease_change is LeaseChange.END
    assert wanted.progress == (0, 1, 25, 1, 50, 1, 75, 1)


def test_what_was_written_is_not_written_again():
    batch = a_batch()
    batch.accept(0, 10)
    batch.bury(1, "too old", "400 no")
    batch.forget_device(2, NOW)
    batch.keep_ticket(0, FollowUp("ticket", timedelta(minutes=15)))
    batch.note_written(batch.exceptions())
    assert batch.exceptions().dead_letters == []
    assert batch.dead_devices == batch.suspects == batch.tickets == []


def test_what_came_after_a_write_was_begun_is_left_for_the_next():
    batch = a_batch()
    batch.bury(1, "too old", "400 no")
    batch.forget_device(2, NOW)
    exceptions = batch.exceptions()
    batch.bury(3, "too old", "400 no")
    batch.bury(0, "too big", "413")
    batch.forget_device(0, NOW)
    batch.note_written(exceptions)
    assert batch.dead_devices == [(batch.device_ids[0], NOW)]
    assert sorted(batch.exceptions().dead_letters) == [
        ("too big", "413", [0]),
        ("too old", "400 no", [3]),
    ]
    assert exceptions.dead_letters == [("too old", "400 no", [1])]


def test_what_was_accepted_when_is_said_in_full_by_every_write():
    batch = a_batch(progress=(50, 7))
    batch.accept(0, 60)
    batch.note_written(batch.exceptions())
    batch.accept(1, 110)
    assert batch.write(give_back=False).progress == (50, 8, 100, 1)


def test_dead_letters_of_one_reason_and_answer_are_one_row():
    batch = a_batch()
    for position in (0, 2):
        batch.bury(position, "too old", "400 no")
    batch.bury(3, "too big", "413")
    assert [(letter.reason, letter.positions) for letter in batch.exceptions().dead_letters] == [
        ("too old", [0, 2]),
        ("too big", [3]),
    ]


def test_a_sender_fault_burns_no_attempt():
    batch = a_batch()
    batch.settle(0, SenderRejected("the key was revoked"), 0.0)
    assert Delivery.unpack(batch.states[0]) == Delivery(State.RETRYING, False, 0)


def doubt(batch, position, origin=""):
    before = Delivery.unpack(batch.states[position])
    batch.settle(position, DeviceGone("BadDeviceToken", doubtful=True), 0.0)
    batch.doubt_device(position, Doubt("BadDeviceToken", "400 BadDeviceToken", origin, NOW, before))


def test_a_doubt_that_is_believed_forgets_the_device_as_of_the_moment_its_answer_came():
    batch = a_batch()
    doubt(batch, 2)
    batch.forget_doubted(2)
    assert batch.suspects == []
    assert batch.dead_devices == [(103, NOW)]
    assert states(batch)[2] is State.GONE
    assert batch.doubts == {}


def test_a_doubt_that_is_not_believed_keeps_the_device_and_can_be_replayed():
    batch = a_batch()
    doubt(batch, 2)
    batch.bury_doubted(2, suspect=True)
    assert batch.suspects == [103]
    assert batch.dead_devices == []
    assert states(batch)[2] is State.BURIED
    assert batch.exceptions().dead_letters[0].positions == [2]


@pytest.mark.parametrize(
    "decide",
    [
        lambda batch: batch.spare_doubted(0, "our fault"),
        lambda batch: batch.bury_doubted(0, suspect=True),
        lambda batch: batch.bury_doubted(0, suspect=False),
    ],
)
def test_an_unknown_outcome_stays_on_record_beside_doubts_not_believed(decide):
    batch = a_batch(bytes([Delivery(State.RETRYING, True, 1).pack()]))
    doubt(batch, 0)
    decide(batch)
    assert Delivery.unpack(batch.states[0]).unknown


def test_a_spared_doubt_returns_to_retrying_without_a_burnt_attempt():
    batch = a_batch()
    doubt(batch, 2)
    batch.spare_doubted(2, "wrong environment")
    assert Delivery.unpack(batch.states[2]) == Delivery(State.RETRYING, False, 0)
    assert batch.dead_devices == batch.suspects == []
    assert batch.write(give_back=True).waits == [(2, 0.0, "wrong environment")]


def test_what_is_in_flight_keeps_its_right_to_answer_when_the_rest_is_cancelled():
    batch = a_batch()
    batch.mark_sent([1])
    batch.close_unsent(State.CANCELLED)
    assert states(batch) == [State.CANCELLED, State.PENDING, State.CANCELLED, State.CANCELLED]
    batch.accept(1, 10)
    assert states(batch)[1] is State.ACCEPTED


@pytest.mark.parametrize("state", [State.CANCELLED, State.EXPIRED])
def test_an_unknown_outcome_stays_on_record_when_the_alert_ends(state):
    batch = a_batch(bytes(1))
    batch.settle(0, TryLater("no answer", unknown=True), 0.0)
    batch.close_unsent(state)
    assert Delivery.unpack(batch.states[0]) == Delivery(state, True, 1)


def test_a_doubt_that_is_not_believed_may_leave_its_device_without_a_stain():
    batch = a_batch()
    doubt(batch, 2)
    batch.bury_doubted(2, suspect=False)
    assert batch.suspects == batch.dead_devices == []
    [letter] = batch.exceptions().dead_letters
    assert (letter.reason, letter.answer) == ("BadDeviceToken", "400 BadDeviceToken")


def test_an_acceptance_ends_what_earlier_alerts_say_of_a_device():
    batch = a_batch()
    batch.note_history(0, 1)
    batch.note_history(1, 8)
    batch.note_history(2, 0)
    for position in (0, 2):
        batch.accept(position, 10)
    assert batch.newly_accepted() == [101]
    assert batch.history_of(1) == History(refusals=2)
    assert not batch.history_of(0).accepted_before


@pytest.mark.parametrize(
    ("suspect", "gone", "suspects", "dead", "refused"),
    [(False, False, [], [], [102]), (True, False, [102], [], [102]), (False, True, [], [102], [])],
)
def test_a_refusal_is_counted_against_its_device(suspect, gone, suspects, dead, refused):
    batch = a_batch()
    batch.refuse_device(1, "")
    batch.decide_refused(1, suspect=suspect, gone=gone)
    assert batch.suspects == suspects
    assert [device for device, _ in batch.dead_devices] == dead
    assert batch.refused_devices == refused
    assert batch.refusals == {}
