"""A batch in our hands: what answers do to it and what it asks to be written."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.delivery import Delivery, Effect, State, next_step
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
)
from service.store.deliveries.batch_claims import ClaimedBatch
from service.store.deliveries.batch_writes import LeaseChange
from workers.delivery.leased_batch import AFTER_ACCEPTED, Lease

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_lease(states=bytes(4), waits=None, deadline=NOW + timedelta(hours=1), progress=()):
    ids = list(range(101, 101 + len(states)))
    claimed = ClaimedBatch(0, 7, "fcm", 99, ids, bytes(states), list(progress), waits or {})
    return Lease(claimed, deadline, lambda: NOW)


def states(lease):
    return [Delivery.unpack(byte).state for byte in lease.states]


def test_the_table_of_a_yes_says_what_next_step_says():
    for byte in range(256):
        if byte & 7 < len(State):
            step = next_step(Delivery.unpack(byte), Accepted(), now=NOW, deadline=NOW, jitter=0)
            assert AFTER_ACCEPTED[byte] == step.delivery.pack()


def test_only_positions_that_are_open_and_due_are_sent():
    lease = a_lease(bytes([0, 1, 1, 2]), waits={2: 30.0})
    assert lease.to_send() == [0, 1]


def test_a_try_later_waits_as_long_as_the_provider_says():
    lease = a_lease()
    lease.settle(1, TryLater("HTTP 429", after=timedelta(seconds=40)))
    for position in (0, 2, 3):
        lease.accept(position, 10)
    wanted = lease.write(give_back=True)
    assert wanted.lease_change is LeaseChange.RELEASE
    [(position, seconds, why)] = wanted.waits
    assert (position, why) == (1, "HTTP 429")
    assert 40 <= seconds <= 50
    assert wanted.due_s == seconds


def test_a_wait_past_the_deadline_expires_the_delivery():
    lease = a_lease(bytes(1), deadline=NOW + timedelta(seconds=30))
    lease.settle(0, TryLater("HTTP 429", after=timedelta(seconds=31)))
    assert states(lease) == [State.EXPIRED]


def test_a_batch_with_something_unsent_is_released_to_be_claimed_at_once():
    lease = a_lease()
    lease.settle(1, TryLater("HTTP 503", after=timedelta(seconds=40)))
    assert lease.write(give_back=True).due_s == 0.0


def test_a_batch_is_done_when_every_position_is_final():
    lease = a_lease()
    for position in range(4):
        lease.accept(position, 26 * position)
    wanted = lease.write(give_back=True)
    assert wanted.lease_change is LeaseChange.END
    assert wanted.progress == (0, 1, 25, 1, 50, 1, 75, 1)


def test_what_was_written_is_not_written_again():
    lease = a_lease()
    lease.accept(0, 10)
    lease.settle(1, DeviceRefused("too old"), "400 no")
    lease.settle(2, DeviceGone("Unregistered"))
    lease.written()
    assert lease.dead_letters() == []
    assert lease.gone == []


def test_what_was_accepted_when_is_said_in_full_by_every_write():
    lease = a_lease(progress=(50, 7))
    lease.accept(0, 60)
    lease.written()
    lease.accept(1, 110)
    assert lease.write(give_back=False).progress == (50, 8, 100, 1)


def test_dead_letters_of_one_reason_and_answer_are_one_row():
    lease = a_lease()
    for position in (0, 2):
        assert lease.settle(position, DeviceRefused("too old"), "400 no") is Effect.BURY
    lease.settle(3, AlertRejected("too big"), "413")
    assert [(b.reason, b.positions) for b in lease.dead_letters()] == [
        ("too old", [0, 2]),
        ("too big", [3]),
    ]


def test_a_sender_fault_burns_no_attempt():
    lease = a_lease()
    lease.settle(0, SenderRejected("the key was revoked"))
    assert Delivery.unpack(lease.states[0]) == Delivery(State.RETRYING, False, 0)


def test_doubtful_evidence_that_is_believed_forgets_the_device():
    lease = a_lease()
    lease.settle(2, DeviceGone("BadDeviceToken", doubtful=True))
    lease.judge_doubtful({""})
    assert lease.suspects == []
    assert lease.gone == [(103, NOW)]
    assert states(lease)[2] is State.GONE


def test_doubtful_evidence_that_is_not_believed_keeps_the_device_and_can_be_replayed():
    lease = a_lease()
    lease.settle(2, DeviceGone("BadDeviceToken", doubtful=True))
    lease.judge_doubtful(())
    assert lease.suspects == [103]
    assert lease.gone == []
    assert states(lease)[2] is State.BURIED
    assert lease.dead_letters()[0].positions == [2]


def test_doubtful_evidence_is_believed_by_its_own_origin_only():
    lease = a_lease()
    lease.settle(1, DeviceGone("403", doubtful=True), origin="https://one.example")
    lease.settle(2, DeviceGone("403", doubtful=True), origin="https://other.example")
    lease.judge_doubtful({"", "https://one.example"})
    assert lease.suspects == [103]
    assert lease.gone == [(102, NOW)]
    assert states(lease)[2] is State.BURIED


@pytest.mark.parametrize("judge", ["spare_doubtful", "judge_doubtful"])
def test_an_unknown_outcome_stays_on_record_beside_doubts_not_believed(judge):
    lease = a_lease(bytes([Delivery(State.RETRYING, True, 1).pack()]))
    lease.settle(0, DeviceGone("BadDeviceToken", doubtful=True))
    getattr(lease, judge)(())
    assert Delivery.unpack(lease.states[0]).unknown


def test_a_device_is_judged_as_of_the_moment_its_answer_came():
    lease = a_lease()
    lease.settle(0, DeviceGone("Unregistered"))
    lease.settle(1, DeviceGone("Unregistered", since=NOW - timedelta(days=1)))
    assert lease.gone == [(101, NOW), (102, NOW - timedelta(days=1))]


def test_spared_doubts_return_to_retrying_without_a_burnt_attempt():
    lease = a_lease()
    lease.settle(2, DeviceGone("BadDeviceToken", doubtful=True))
    lease.spare_doubtful("wrong environment")
    assert Delivery.unpack(lease.states[2]) == Delivery(State.RETRYING, False, 0)
    lease.judge_doubtful({""})
    assert lease.gone == lease.suspects == []


def test_what_is_in_flight_keeps_its_right_to_answer_when_the_rest_is_cancelled():
    lease = a_lease()
    lease.flying.add(1)
    lease.put_rest(State.CANCELLED)
    assert states(lease) == [State.CANCELLED, State.PENDING, State.CANCELLED, State.CANCELLED]
    lease.accept(1, 10)
    assert states(lease)[1] is State.ACCEPTED


@pytest.mark.parametrize("state", [State.CANCELLED, State.EXPIRED])
def test_an_unknown_outcome_stays_on_record_when_the_alert_ends(state):
    lease = a_lease(bytes(1))
    lease.settle(0, TryLater("no answer", unknown=True))
    lease.put_rest(state)
    assert Delivery.unpack(lease.states[0]) == Delivery(state, True, 1)
