"""Receipts of tickets: the evidence dates from the push, and a pass ends when no answer comes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.verdict import DeviceGone, TryLater
from service.store.deliveries import follow_ups
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context
from workers.provider import Answer, Failure, Request
from workers.upkeep import follow_up


class TicketProvider:
    name = "expo"
    follow_ups_at_once = 1

    def __init__(self, verdict):
        self.verdict = verdict

    def follow_ups(self, *_):
        return Request("https://expo.example", (), b"")

    def read_follow_ups(self, _answer, tickets):
        return [self.verdict] * len(tickets)


class Gateway:
    """Gives every request the same answer."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []

    def send(self, _pool, requests):
        self.sent.extend(requests)
        return [(each, self.answer) for each in requests]


@pytest.fixture
def ask(engine):
    """Run one pass; returns how many requests it made."""

    def run(verdict, answer):
        gateway = Gateway(answer)
        context = Context(engine, gateway=gateway, providers={"expo": TicketProvider(verdict)})
        follow_up.ask_receipts(context)
        return len(gateway.sent)

    return run


def keep(session, *device_ids):
    follow_ups.keep(session, "expo", [(f"ticket {n}", n, 0.0) for n in device_ids])
    session.execute(text("UPDATE follow_up SET created_at = now() - interval '15 min'"))


@pytest.mark.parametrize(("minutes", "gone"), [(20, True), (10, False)])
def test_a_device_that_registered_after_its_push_stays(engine, ask, minutes, gone):
    with transaction(engine) as session:
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        device = a.a_device(session, a.a_reader(session), provider="expo", registered_at=at)
        keep(session, device.id)
    ask(DeviceGone("the app is gone from the device"), Answer(200))
    with transaction(engine) as session:
        found = session.execute(text("SELECT gone_at IS NOT NULL FROM device")).scalar_one()
        assert found is gone
        assert session.execute(text("SELECT count(*) FROM follow_up")).scalar_one() == 0


def test_a_server_that_does_not_answer_is_not_asked_ten_times(engine, ask):
    with transaction(engine) as session:
        keep(session, 1, 2, 3)
    silence = Answer(0, failure=Failure.UNKNOWN, detail="timed out")
    assert ask(TryLater("no answer", unknown=True), silence) == 1
