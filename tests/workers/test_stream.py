"""A whole turn at an alert, on real PostgreSQL, with a provider and a gateway of the test's own."""

from collections import deque
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing import Event
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.domain.delivery import Delivery, State
from service.domain.verdict import (
    Accepted,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
)
from service.store import batches, holds
from service.store.session import transaction
from tests import builders as a
from workers import consequences, deliver, ledger, stream
from workers.provider import Answer, Credential, Request

KEY_REFUSED = DeviceGone("its push service refuses our VAPID key for it", doubtful=True)
UNCLEAR = DeviceRefused("Google finds something wrong with this push", doubtful=True)


class Gateway:
    """Answers at once, in the order of sending."""

    def __init__(self):
        self.sent = []
        self.waiting = deque()
        self.answering = True

    def room(self, _lane):
        return 900 - len(self.waiting)

    def submit(self, _lane, request):
        self.sent.append(request)
        self.waiting.append(request)

    def poll(self, _timeout):
        found = [(request, Answer(200)) for request in self.waiting] if self.answering else []
        if self.answering:
            self.waiting.clear()
        return found

    def in_flight(self, _lane=None):
        return len(self.waiting)

    def refresh(self, _lane):
        pass

    def abandon(self):
        left = list(self.waiting)
        self.waiting.clear()
        return left


class Provider:
    """Says of each address what `says` holds for it, else yes."""

    window = 900
    per_minute = None
    ramp_seconds = 0

    def __init__(self, name="apns", guard=None):
        self.name = name
        self.guard = guard
        self.says = {}
        self.fails_at = None

    def pushes(self, _message, _credential):
        return self

    def requests(self, targets, _now):
        for target in sorted(targets, key=lambda each: each.position):
            if target.position == self.fails_at:
                raise RuntimeError("a fault of ours")
            url = target.address if "://" in target.address else f"https://apns/{target.address}"
            yield Request(url, (), target.address.encode(), (target.position,))

    def read_answer(self, answer, positions):
        raise NotImplementedError


class System:
    def __init__(self, engine):
        self.engine = engine
        self.gateway = Gateway()
        self.providers = {}
        self.messages = []
        now = datetime.now(UTC)
        credential = Credential("secret", now, now + timedelta(days=1))
        self.process = SimpleNamespace(
            settings=SimpleNamespace(
                flush_ms=20, lease_s=2, public_url="https://news.example", shard_devices=10_000
            ),
            engine=engine,
            broker=SimpleNamespace(send=self.messages.append),
            gateway=self.gateway,
            credentials=SimpleNamespace(get=lambda *_: credential, reject=lambda *_: False),
            rates=SimpleNamespace(
                take=lambda _name, wanted, _now: wanted,
                slow=lambda *_: None,
                ease=lambda *_: None,
            ),
            providers=self.providers,
            names=["apns"],
            waiting=lambda _: 0,
            secret=b"secret",
            stopping=Event(),
        )

    def provider(self, name="apns", guard=None, says=lambda _: Accepted()):
        found = self.providers[name] = Provider(name, guard)
        sent = self.gateway.sent
        order = iter(range(1_000_000))

        def read(answer, positions):
            return [says(sent[next(order)].body.decode())]

        found.read_answer = read
        return found

    def alert(self, addresses, *, shards_open=0, urgency=2, **batch):
        with transaction(self.engine) as session:
            row = a.an_alert(
                session,
                a.a_story(session),
                state="sending",
                started_at=datetime.now(UTC),
                urgency=urgency,
                topic_ids=[],
                above=[],
                topics=[],
            )
            reader = a.a_reader(session)
            devices = [
                a.a_device(session, reader, address=address, provider=next(iter(self.providers)))
                for address in addresses
            ]
            a.a_shard(session, row)
            for n in range(shards_open):
                a.a_shard(session, row, n=n + 1, lo=0, hi=1, done=False)
            if devices:
                values = {"device_ids": [each.id for each in devices]} | batch
                provider = next(iter(self.providers))
                a.a_batch(session, row, [State.PENDING] * len(devices), provider=provider, **values)
            return row.id

    def states(self, alert_id):
        with transaction(self.engine) as session:
            found = session.execute(
                text("SELECT states FROM batch WHERE alert_id = :a ORDER BY shard_n, n"),
                {"a": alert_id},
            ).scalars()
            return [Delivery.unpack(byte).state for states in found for byte in bytes(states)]

    def one(self, statement, **values):
        with transaction(self.engine) as session:
            return session.execute(text(statement), values).scalar_one_or_none()


@pytest.fixture
def system(engine):
    return System(engine)


def gone(system):
    return system.one("SELECT count(*) FROM device WHERE gone_at IS NOT NULL")


def test_a_push_service_that_refuses_our_key_loses_no_device_while_another_accepts(system):
    refused = "https://one.example/"
    system.provider(
        "webpush",
        guard=lambda *_: False,
        says=lambda address: KEY_REFUSED if address.startswith(refused) else Accepted(),
    )
    addresses = [f"{refused}{n}" for n in range(30)] + [f"https://other.example/{n}" for n in "ab"]
    alert = system.alert(sorted(addresses, reverse=True))
    deliver.deliver(system.process, alert)
    assert gone(system) == 0
    assert system.states(alert).count(State.BURIED) == 30
    assert system.one("SELECT count(*) FROM device WHERE suspect_at IS NOT NULL") == 30


def test_a_push_service_that_accepts_others_is_believed_of_one(system):
    system.provider(
        "webpush",
        guard=lambda *_: False,
        says=lambda address: KEY_REFUSED if address.endswith("/x") else Accepted(),
    )
    alert = system.alert(["https://one.example/a", "https://one.example/x"])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED, State.GONE]
    assert gone(system) == 1


def test_a_provider_with_one_server_is_believed_beside_any_acceptance(system):
    system.provider(says=lambda address: KEY_REFUSED if address == "x" else Accepted())
    alert = system.alert(["a", "x"])
    deliver.deliver(system.process, alert)
    assert gone(system) == 1


def test_very_many_unclear_refusals_and_no_yes_end_the_alert_on_the_provider(system):
    system.provider("fcm", says=lambda _: UNCLEAR).window = 50
    alert = system.alert([f"a{n}" for n in range(300)])
    deliver.deliver(system.process, alert)
    states = system.states(alert)
    assert states.count(State.BURIED) + states.count(State.CANCELLED) == 300
    assert 100 <= states.count(State.BURIED) <= 150
    assert system.one("SELECT rejected_by FROM alert WHERE id = :a", a=alert) == ["fcm"]


def test_unclear_refusals_beside_a_yes_are_each_devices_own(system):
    system.provider("fcm", says=lambda address: UNCLEAR if address != "a7" else Accepted())
    alert = system.alert([f"a{n}" for n in range(300)])
    deliver.deliver(system.process, alert)
    assert system.states(alert).count(State.BURIED) == 299


def test_what_was_accepted_before_a_fault_of_ours_is_on_record_and_given_back(system):
    provider = system.provider()
    provider.window = 3
    provider.fails_at = 3
    alert = system.alert(["a", "b", "c", "d", "e"])
    system.gateway.room = lambda _: 1 - len(system.gateway.waiting)
    with pytest.raises(RuntimeError):
        deliver.deliver(system.process, alert)
    assert system.states(alert)[:3] == [State.ACCEPTED] * 3
    assert system.one("SELECT count(*) FROM batch WHERE lease_token IS NOT NULL") == 0
    assert system.one(
        "SELECT claimable_at > now() + interval '1 s' FROM batch WHERE alert_id = :a", a=alert
    )


def test_a_turn_with_every_provider_held_ends_though_shards_are_open(system):
    system.provider()
    alert = system.alert([], shards_open=1, urgency=2)
    with transaction(system.engine) as session:
        holds.hold(session, "apns", "a person said so", "a person")
        session.execute(
            text("UPDATE alert SET expires_at = now() + interval '3 s' WHERE id = :a"), {"a": alert}
        )
    begun = datetime.now(UTC)
    deliver.deliver(system.process, alert)
    assert datetime.now(UTC) - begun < timedelta(seconds=1)


def test_a_persons_hold_reaches_a_running_stream(system):
    addresses = [f"a{n}" for n in range(200)]

    def says(address):
        if address == addresses[0]:
            with transaction(system.engine) as session:
                holds.hold(session, "apns", "a person said so", "a person")
        return Accepted()

    system.provider(says=says)
    system.gateway.room = lambda _: 1 - len(system.gateway.waiting)
    slow = system.gateway.poll
    system.gateway.poll = lambda timeout: (stream.time.sleep(0.002), slow(timeout))[1]
    alert = system.alert(addresses)
    deliver.deliver(system.process, alert)
    assert 0 < system.states(alert).count(State.PENDING) < 200


def test_a_turn_with_nothing_for_a_held_provider_leaves_its_probe_to_another(system):
    system.provider()
    system.provider("fcm")
    alert = system.alert(["a"])
    with transaction(system.engine) as session:
        holds.hold(session, "fcm", "the key was revoked", holds.WORKER)
        session.execute(text("UPDATE hold SET probe_at = now()"))
    deliver.deliver(system.process, alert)
    assert system.one("SELECT probe_at <= now() FROM hold")


def test_an_accepted_probe_leaves_a_persons_hold_alone(system):
    def says(address):
        with transaction(system.engine) as session:
            holds.hold(session, "apns", "not today", "a person")
        return Accepted()

    system.provider(says=says)
    alert = system.alert(["a"])
    with transaction(system.engine) as session:
        holds.hold(session, "apns", "the key was revoked", holds.WORKER)
        session.execute(text("UPDATE hold SET probe_at = now()"))
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED]
    assert system.one("SELECT held_by FROM hold") == "a person"


def test_a_hold_that_cannot_be_written_spoils_no_other_answer(system, monkeypatch):
    def away(*args, **options):
        raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(consequences.holds, "hold", away)
    revoked = SenderRejected("The key was revoked.")
    system.provider(says=lambda address: revoked if address == "a0" else Accepted())
    alert = system.alert([f"a{n}" for n in range(5)])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.RETRYING] + [State.ACCEPTED] * 4


def test_a_database_that_takes_nothing_is_tried_by_the_timer_alone(system, monkeypatch):
    tries = []
    write = batches.write

    def away(session, *args, **options):
        tries.append(stream.time.monotonic())
        if len(tries) <= 5:
            raise OperationalError("UPDATE", {}, Exception("the database is shut down"))
        return write(session, *args, **options)

    monkeypatch.setattr(ledger.batches, "write", away)
    system.provider(says=lambda _: TryLater("503"))
    alert = system.alert(["a"])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.RETRYING]
    waits = [after - before for before, after in pairwise(tries[:6])]
    assert min(waits) >= 0.019


@pytest.mark.parametrize(("waiting", "accepted"), [(1, False), (0, True)])
def test_a_long_breaking_stream_makes_way_for_what_waits_in_its_queue(
    system, monkeypatch, waiting, accepted
):
    monkeypatch.setattr(stream, "TURN_S", 0.05)
    system.process.waiting = lambda _: waiting
    system.provider()
    system.gateway.room = lambda _: 1 - len(system.gateway.waiting)
    quick = system.gateway.poll
    system.gateway.poll = lambda timeout: (stream.time.sleep(0.002), quick(timeout))[1]
    alert = system.alert([f"a{n}" for n in range(100)])
    deliver.deliver(system.process, alert)
    assert (State.PENDING not in system.states(alert)) is accepted
    assert [message.task for message in system.messages] == ([] if accepted else ["deliver"])
