"""A channel and its batch under any sequence of answers, holds and writes, without a database."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine

from service.domain.delivery import Delivery, State, count_states
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
from service.store.deliveries.batch_claims import ClaimedBatch
from service.store.deliveries.batch_writes import LeaseChange
from workers.delivery.answers import AnswerReader, Flight
from workers.delivery.channel import Channel
from workers.delivery.clock import Clock
from workers.delivery.condition import Ended, Held, Open, Probing
from workers.delivery.leased_batch import LeasedBatch
from workers.gateway.exchanges import Exchanges
from workers.provider import Answer, Request

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIZE = 40
OPEN = (State.PENDING, State.RETRYING)
WAITS = st.none() | st.timedeltas(timedelta(0), timedelta(hours=2))
VERDICTS = st.one_of(
    st.builds(Accepted, st.none() | st.just(FollowUp("ticket", timedelta(minutes=15)))),
    st.builds(
        TryLater,
        st.just("later"),
        after=WAITS,
        unknown=st.booleans(),
        reconnect=st.booleans(),
        reach=st.sampled_from(Reach),
    ),
    st.builds(DeviceGone, st.just("gone"), doubtful=st.booleans()),
    st.builds(DeviceRefused, st.just("refused"), doubtful=st.booleans(), unknown=st.booleans()),
    st.builds(AlertRejected, st.just("too large")),
    st.builds(SenderRejected, st.just("bad key"), remint=st.booleans()),
)


class Provider:
    name = "apns"
    window = 10
    guard = None

    def __init__(self):
        self.verdict = Accepted()

    def read_answer(self, _answer, positions):
        return [self.verdict] * len(positions)


class Rates:
    def pause(self, _name, _seconds):
        pass

    def lower(self, _name, refused):
        assert 0 < refused <= 0.5


class Gateway:
    def refresh(self, _pool):
        pass

    def abandon(self):
        return []


class Credentials:
    def __init__(self):
        self.renews = True

    def reject(self, _provider, _now):
        return self.renews


class Context:
    """A process whose database is away: a hold is then known to its stream alone."""

    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")
    rates = Rates()
    gateway = Gateway()

    def __init__(self):
        self.credentials = Credentials()


class Delivering(RuleBasedStateMachine):
    @initialize(condition=st.sampled_from([Open(), Probing()]))
    def begin(self, condition):
        self.context = Context()
        self.channel = Channel(Provider(), condition)
        claimed = ClaimedBatch(0, 0, "apns", 99, list(range(100, 100 + SIZE)), bytes(SIZE), [], {})
        clock = Clock(NOW, 0.0)
        self.batch = LeasedBatch(claimed, NOW + timedelta(hours=1), lambda: NOW)
        self.channel.add(self.batch)
        exchanges = Exchanges(self.context.gateway)
        self.reader = AnswerReader(self.context, exchanges, 1, clock)
        self.accepted = set()
        self.ended = self.held_by_us = False

    @rule(count=st.integers(1, 12))
    def send(self, count):
        if not self.channel.may_send:
            return
        due = [p for p in self.batch.positions_due() if p not in self.batch.in_flight]
        self.batch.mark_sent(due[: min(count, self.channel.most_in_flight())])

    @precondition(lambda self: self.batch.in_flight)
    @rule(verdict=VERDICTS, renews=st.booleans(), data=st.data())
    def answer(self, verdict, renews, data):
        position = data.draw(st.sampled_from(sorted(self.batch.in_flight)))
        self.context.credentials.renews = renews
        self.channel.provider.verdict = verdict
        request = Request("https://apns.example/3/device/x", (), b"", (position,))
        flight = Flight(request, self.channel, self.batch, self.channel.generation, 0.0)
        self.reader.read(flight, Answer(200), 10)
        if isinstance(verdict, Accepted):
            self.accepted.add(position)

    @rule()
    def judge_rates(self):
        self.reader.judge_rates([self.channel])

    @rule(held=st.booleans())
    def write(self, held):
        wanted = self.batch.write(give_back=False)
        assert wanted.lease_change is LeaseChange.KEEP
        assert wanted.states == bytes(self.batch.states)
        self.batch.note_written(self.batch.exceptions())
        self.channel.note_written(held=held)

    @rule()
    def give_up_waiting(self):
        self.reader.give_up_waiting([(self.channel, self.batch)], "the stream ends")
        assert not self.batch.in_flight

    @rule(decide=st.sampled_from(["forget", "suspect", "spare"]))
    def decide_doubts(self, decide):
        for position in list(self.batch.doubts):
            if decide == "forget":
                self.batch.forget_doubted(position)
            elif decide == "suspect":
                self.batch.bury_doubted(position, suspect=True)
            else:
                self.batch.spare_doubted(position, "our fault")
        assert not self.batch.doubts

    @invariant()
    def every_delivery_stands_in_one_state(self):
        assert sum(count_states(self.batch.states)) == SIZE

    @invariant()
    def an_acceptance_is_for_ever(self):
        states = [Delivery.unpack(byte).state for byte in self.batch.states]
        assert {p for p, state in enumerate(states) if state is State.ACCEPTED} == self.accepted
        assert sum(self.batch.progress.values()) == len(self.accepted)
        assert sum(t.accepted for t in self.channel.evidence.tallies.values()) == len(self.accepted)

    @invariant()
    def what_is_in_flight_is_open(self):
        assert all(self.batch.is_open(position) for position in self.batch.in_flight)

    @invariant()
    def only_open_deliveries_wait(self):
        waiting = [p for p in self.batch.due if self.batch.is_open(p)]
        assert set(self.batch.positions_due()).isdisjoint(waiting)

    @invariant()
    def a_doubt_is_about_a_device_that_stands_as_gone_and_was_not_forgotten(self):
        forgotten = {device for device, _ in self.batch.dead_devices}
        for position in self.batch.doubts:
            assert Delivery.unpack(self.batch.states[position]).state is State.GONE
            assert self.batch.device_ids[position] not in forgotten
        assert forgotten.isdisjoint(self.batch.suspects)

    @invariant()
    def a_channel_that_is_held_or_ended_sends_nothing_and_an_end_is_final(self):
        condition = self.channel.condition
        if isinstance(condition, Held | Ended):
            assert not self.channel.may_send
        assert not self.ended or self.channel.has_ended
        self.ended = self.channel.has_ended

    @invariant()
    def an_alert_that_ended_here_leaves_nothing_to_send(self):
        if self.channel.has_ended:
            rest = [p for p in range(SIZE) if self.batch.is_open(p)]
            answered_late = set(rest) - self.batch.in_flight
            assert all(
                Delivery.unpack(self.batch.states[p]).state is State.RETRYING for p in answered_late
            )


Delivering.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestDelivering = Delivering.TestCase
