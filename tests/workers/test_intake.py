"""What a stream takes from the database while its pushes are in flight."""

import threading

import pytest
from sqlalchemy.exc import OperationalError

from service.domain.delivery import State
from service.domain.verdict import Accepted
from tests.workers.test_stream import System
from workers import deliver
from workers.delivery import intake
from workers.delivery.claiming import Claiming

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
