import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.delivery import (
    FIRST_WAIT,
    LONGEST_WAIT,
    MOST_ATTEMPTS_COUNTED,
    ORIGIN_PAUSE,
    STATES,
    Delivery,
    State,
    count_states,
    delivery_ids,
    next_step,
    wait_before,
)
from service.domain.effect import (
    BuryDelivery,
    DoubtDevice,
    EndAlert,
    ForgetDevice,
    HoldProvider,
    KeepTicket,
    MintCredential,
    PauseOrigin,
    Reconnect,
)
from service.domain.totals import Timing, Totals, timing
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    FollowUp,
    Reach,
    SenderRejected,
    TryLater,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=4)
DELIVERIES = st.builds(
    Delivery,
    state=st.sampled_from(State),
    unknown=st.booleans(),
    attempts=st.integers(0, MOST_ATTEMPTS_COUNTED),
)


def step_of(verdict, delivery=None, deadline=DEADLINE, jitter=0.0):
    return next_step(delivery or Delivery(), verdict, now=NOW, deadline=deadline, jitter=jitter)


@given(DELIVERIES)
def test_a_delivery_survives_its_byte(delivery):
    assert Delivery.unpack(delivery.pack()) == delivery
    assert 0 <= delivery.pack() <= 255


@given(st.lists(DELIVERIES, max_size=1000))
def test_counts_are_those_of_the_states_whatever_else_the_bytes_say(deliveries):
    packed = bytes(delivery.pack() for delivery in deliveries)
    counts = count_states(packed)
    assert sum(counts) == len(deliveries)
    for state in STATES:
        assert counts[state] == sum(delivery.state is state for delivery in deliveries)


def test_all_states_but_two_are_final():
    assert [state for state in State if not state.final] == [State.PENDING, State.RETRYING]


TICKET = FollowUp("ticket", timedelta(minutes=15))


@pytest.mark.parametrize(
    ("verdict", "state", "effects"),
    [
        (Accepted(), State.ACCEPTED, ()),
        (Accepted(TICKET), State.ACCEPTED, (KeepTicket(TICKET),)),
        (TryLater("busy"), State.RETRYING, ()),
        (TryLater("bye", reconnect=True), State.RETRYING, (Reconnect(),)),
        (TryLater("slow", reach=Reach.PROVIDER), State.RETRYING, ()),
        (
            TryLater("slow", after=timedelta(seconds=9), reach=Reach.ORIGIN),
            State.RETRYING,
            (PauseOrigin(timedelta(seconds=9)),),
        ),
        (TryLater("slow", reach=Reach.ORIGIN), State.RETRYING, (PauseOrigin(ORIGIN_PAUSE),)),
        (DeviceGone("410"), State.GONE, (ForgetDevice(NOW),)),
        (DeviceGone("410", since=DEADLINE), State.GONE, (ForgetDevice(DEADLINE),)),
        (DeviceGone("400", doubtful=True), State.GONE, (DoubtDevice("400"),)),
        (DeviceRefused("too big"), State.BURIED, (BuryDelivery("too big", of_device=True),)),
        (AlertRejected("bad"), State.BURIED, (BuryDelivery("bad"), EndAlert("bad"))),
        (SenderRejected("bad key"), State.RETRYING, (HoldProvider("bad key"),)),
        (SenderRejected("iOS", reach=Reach.DEVICE), State.BURIED, (BuryDelivery("iOS"),)),
        (SenderRejected("old", remint=True), State.RETRYING, (MintCredential("old"),)),
    ],
)
def test_every_verdict_leads_to_a_state_and_to_effects_that_carry_their_data(
    verdict, state, effects
):
    step = step_of(verdict)
    assert (step.delivery.state, step.effects) == (state, effects)


@pytest.mark.parametrize("verdict", [TryLater("busy"), SenderRejected("bad key")])
def test_no_answer_but_a_word_on_the_device_itself_forgets_it(verdict):
    effects = step_of(verdict).effects
    assert not any(isinstance(effect, ForgetDevice | DoubtDevice) for effect in effects)


def test_an_attempt_is_counted_and_the_count_has_an_end():
    tired = Delivery(State.RETRYING, False, MOST_ATTEMPTS_COUNTED)
    assert step_of(TryLater("busy")).delivery.attempts == 1
    assert step_of(TryLater("busy"), tired).delivery.attempts == MOST_ATTEMPTS_COUNTED
    assert step_of(Accepted(), tired).delivery.pack() <= 255


def test_our_own_fault_burns_nobodys_attempt():
    once = Delivery(State.RETRYING, False, 1)
    assert step_of(SenderRejected("bad key"), once).delivery.attempts == 1
    assert step_of(TryLater("drained", blameless=True), once).delivery.attempts == 1


def test_that_a_push_may_have_arrived_is_remembered_until_it_is_known():
    doubt = step_of(TryLater("no answer", unknown=True)).delivery
    assert doubt.unknown
    assert step_of(TryLater("busy"), doubt).delivery.unknown
    assert step_of(DeviceRefused("no"), doubt).delivery.unknown
    assert not step_of(Accepted(), doubt).delivery.unknown


def test_the_providers_word_comes_before_our_own_wait():
    step = step_of(TryLater("busy", after=timedelta(seconds=77)))
    assert step.due_at == NOW + timedelta(seconds=77)
    assert step_of(TryLater("busy")).due_at == NOW + FIRST_WAIT


def test_a_second_failure_waits_as_long_as_the_providers_rules_ask():
    verdict = TryLater("busy", later=timedelta(minutes=15))
    assert step_of(verdict).due_at == NOW + FIRST_WAIT
    once = Delivery(State.RETRYING, attempts=1)
    assert step_of(verdict, once).due_at == NOW + timedelta(minutes=15)
    asked = TryLater("busy", after=timedelta(seconds=2), later=timedelta(minutes=15))
    assert step_of(asked, once).due_at == NOW + timedelta(seconds=2)


def test_a_delivery_is_buried_after_the_attempts_that_the_provider_allows():
    """Google asks to wait ten seconds, longer each time, and to give up after an hour."""
    verdict = TryLater("503", first=timedelta(seconds=10), most_attempts=14)
    for jitter in (0.0, 1.0):
        delivery, waited = Delivery(), timedelta(0)
        while (step := step_of(verdict, delivery, jitter=jitter)).due_at is not None:
            assert step.due_at - NOW >= timedelta(seconds=10)
            waited += step.due_at - NOW
            delivery = step.delivery
        assert timedelta(minutes=40) < waited < timedelta(minutes=60)
        assert step.delivery.state is State.BURIED
        assert BuryDelivery("503") in step.effects


@pytest.mark.parametrize("left", [timedelta(0), FIRST_WAIT / 2, FIRST_WAIT])
def test_a_retry_that_could_only_come_after_the_deadline_is_not_waited_for(left):
    step = step_of(TryLater("busy", unknown=True), deadline=NOW + left)
    assert step.delivery.state is State.EXPIRED
    assert step.delivery.unknown
    assert step.due_at is None


@given(
    attempts=st.integers(0, MOST_ATTEMPTS_COUNTED),
    asked=st.none() | st.timedeltas(timedelta(0), timedelta(hours=2)),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_waits_are_stretched_by_up_to_a_quarter_and_never_shortened(attempts, asked, jitter):
    wait = wait_before(attempts, asked, jitter)
    least = wait_before(attempts, asked, 0)
    assert least <= wait <= least * 1.25
    assert asked is None or least == asked
    assert asked is not None or FIRST_WAIT <= least <= LONGEST_WAIT


def test_our_own_waits_double_up_to_five_minutes():
    waits = [wait_before(n, None, 0).total_seconds() for n in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_deliverys_id_is_a_version_5_uuid_the_same_for_life():
    first, again = delivery_ids(7)(9), delivery_ids(7)(9)
    assert first == again
    assert uuid.UUID(first).version == 5
    assert uuid.UUID(first).variant == uuid.RFC_4122
    assert len({delivery_ids(a)(d) for a in range(20) for d in range(20)}) == 400


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=7, max_size=7), min_size=1, max_size=5))
def test_planned_is_always_the_sum_of_the_other_seven(rows):
    totals = sum((Totals(*row) for row in rows), Totals())
    shown = totals.as_dict()
    planned = shown.pop("planned")
    assert planned == sum(shown.values()) == sum(map(sum, rows))
    assert list(shown) == [state.name.lower() for state in State]
    assert totals.open == shown["pending"] + shown["retrying"]


def test_timing_of_nothing_is_nothing():
    assert timing([]) == Timing()
    assert timing([(10, 0)]) == Timing()


def test_timing_names_the_first_the_median_the_ninetieth_and_the_last():
    steps = [(900, 1), (10, 1), (100, 49), (200, 40), (300, 9), (5, 0)]
    assert timing(steps) == Timing(first_ms=10, p50_ms=100, p90_ms=200, last_ms=900)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 50)), max_size=30))
def test_timing_is_what_counting_one_by_one_gives(steps):
    each = sorted(at for at, n in steps for _ in range(n))
    found = timing(steps)
    if not each:
        assert found == Timing()
        return
    half, most = -(-len(each) // 2), -(-len(each) * 9 // 10)
    assert (found.first_ms, found.last_ms) == (each[0], each[-1])
    assert (found.p50_ms, found.p90_ms) == (each[half - 1], each[most - 1])
