"""What a stream takes from the database, and writes to it, while its pushes are in flight."""

import threading
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import OperationalError

from service.domain.delivery import State
from service.domain.verdict import Accepted, SenderRejected
from service.store.deliveries import batch_writes
from service.store.deliveries.batch_claims import ClaimedBatch
from tests.workers.test_stream import System
from workers import deliver
from workers.delivery import flushing, intake, loop
from workers.delivery.channel import Channel
from workers.delivery.claiming import Claiming
from workers.delivery.leased_batch import LeasedBatch
from workers.provider import Answer

WAIT_S = 20.0
"""How long a claim of these tests waits for what must happen meanwhile."""


@pytest.fixture
def system(engine):
    return System(engine)


@pytest.fixture
def claims(system, monkeypatch):
    """Runs the function `meanwhile` in each claim; answers come from the second claim on."""
    claim_batch = Claiming.claim_batch
    poll = system.gateway.poll

    class Claims(list):
        meanwhile = staticmethod(lambda _number: None)

    made = Claims()

    def claim(self, provider):
        made.append(threading.current_thread() is threading.main_thread())
        made.meanwhile(len(made))
        return claim_batch(self, provider)

    monkeypatch.setattr(Claiming, "claim_batch", claim)
    monkeypatch.setattr(intake, "SLOW_S", -1.0)
    system.gateway.poll = lambda timeout: poll(timeout) if len(made) > 1 else []
    return made


def two_batches(system):
    alert = system.alert(["a0", "a1"])
    system.batch(alert, "apns", ["b0", "b1"])
    return alert


def test_answers_are_read_while_the_next_batch_is_claimed(system, claims):
    answered = threading.Event()

    def note(address):
        if address == "a1":
            answered.set()
        return Accepted()

    claims.meanwhile = lambda number: number != 2 or answered.wait(WAIT_S) or pytest.fail("none")
    system.provider(says=note)
    alert = two_batches(system)
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 4
    assert claims[:2] == [True, False]


def test_a_near_database_is_asked_by_the_stream_itself(system, claims, monkeypatch):
    monkeypatch.setattr(intake, "SLOW_S", WAIT_S)
    monkeypatch.setattr(deliver, "shortest_round_trip_s", lambda _session: 0.001)
    system.provider()
    alert = two_batches(system)
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 4
    assert all(claims)


def test_a_distant_database_is_asked_aside_however_fast_it_answers(system, claims, monkeypatch):
    monkeypatch.setattr(intake, "SLOW_S", WAIT_S)
    monkeypatch.setattr(deliver, "shortest_round_trip_s", lambda _session: 0.01)
    system.provider()
    alert = two_batches(system)
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 4
    assert claims[:2] == [True, False]


@pytest.fixture
def writes(system, monkeypatch):
    """Runs the function `meanwhile` in each write without exceptions, before it and after it."""
    write_alone = batch_writes.write_alone
    monkeypatch.setattr(deliver, "shortest_round_trip_s", lambda _session: 0.01)

    class Writes(list):
        before = staticmethod(lambda _number: None)
        after = staticmethod(lambda _number: None)

    made = Writes()

    def write(*args):
        made.append(threading.current_thread() is threading.main_thread())
        number = len(made)
        made.before(number)
        result = write_alone(*args)
        made.after(number)
        return result

    monkeypatch.setattr(flushing.batch_writes, "write_alone", write)
    return made


def two_in_flight(system):
    """Have two requests in flight, and answers come one by one."""
    waiting = system.gateway.waiting

    def poll(_timeout):
        loop.time.sleep(0.005)
        answered = [waiting.popleft()[1]] if waiting else []
        return [(request, Answer(200, body=request.body)) for request in answered]

    system.gateway.room = lambda _pool: 2 - len(waiting)
    system.gateway.poll = poll


def test_two_windows_of_pushes_are_claimed_ahead_of_a_distant_database(system):
    provider = system.provider()
    near, distant = Channel(provider), Channel(provider, windows_ahead=intake.DISTANT_WINDOWS)
    for channel, windows in ((near, 1), (distant, intake.DISTANT_WINDOWS)):
        channel.backlog = windows * provider.window - 1
        assert channel.wants_batch(time.monotonic())
        channel.backlog += 1
        assert not channel.wants_batch(time.monotonic())


def test_answers_are_read_while_states_are_written_to_a_distant_database(system, writes):
    answered = threading.Event()
    system.provider(says=lambda address: (address == "a19" and answered.set()) or Accepted())
    two_in_flight(system)
    writes.before = lambda number: number != 1 or answered.wait(WAIT_S) or pytest.fail("none")
    alert = system.alert([f"a{n}" for n in range(20)])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 20
    assert (writes[0], writes[-1]) == (False, True)


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_was_not_written_aside_is_written_again(system, writes, when):
    def fail(number):
        if number == 1:
            raise OperationalError("COMMIT", {}, Exception("server closed the connection"))

    setattr(writes, when, fail)
    system.provider()
    two_in_flight(system)
    alert = system.alert([f"a{n}" for n in range(20)])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 20
    assert len(system.gateway.sent) == 20
    assert not writes[0]


def test_a_hold_that_comes_while_states_are_written_stays(system, writes):
    revoked = SenderRejected("The key was revoked.")
    held = threading.Event()

    def say(address):
        if address == "a9":
            held.set()
            return revoked
        return Accepted()

    system.provider(says=say)
    two_in_flight(system)
    writes.after = lambda number: number != 1 or held.wait(WAIT_S) or pytest.fail("no hold")
    alert = system.alert([f"a{n}" for n in range(20)])
    deliver.deliver(system.process, alert)
    assert system.states(alert)[:10] == [State.ACCEPTED] * 9 + [State.RETRYING]
    assert len(system.gateway.sent) <= 11


def test_a_batch_that_was_claimed_again_is_not_let_go_with_its_first_lease(system):
    channel = Channel(system.provider())
    now = datetime.now(UTC)
    values = {"provider": "apns", "device_ids": [1], "states": bytes(1), "progress": []}
    first, second = (
        LeasedBatch(ClaimedBatch(0, 0, token=token, waits={}, **values), now, lambda: now)
        for token in (1, 2)
    )
    channel.add(first)
    channel.add(second)
    channel.give_up(first)
    assert channel.batches == {(0, 0): second}
    channel.give_up(second)
    assert channel.batches == {}


def test_what_is_being_claimed_when_the_process_is_told_to_end_is_given_back(system, claims):
    claims.meanwhile = lambda number: number == 2 and system.process.stopping.set()
    system.provider()
    alert = two_batches(system)
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 2 + [State.PENDING] * 2
    free = "SELECT count(*) FROM batch WHERE alert_id = :a AND n = 1 AND lease_token IS NULL"
    assert system.one(free, a=alert) == 1


def test_a_database_that_is_away_for_a_claim_costs_what_is_in_flight_nothing(system, claims):
    def fail(number):
        if number == 2:
            raise OperationalError("UPDATE", {}, Exception("the database is shut down"))

    claims.meanwhile = fail
    system.provider()
    alert = two_batches(system)
    deliver.deliver(system.process, alert)
    assert system.states(alert)[:2] == [State.ACCEPTED] * 2
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 4
    assert len(system.gateway.sent) == 4
