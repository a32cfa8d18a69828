"""A whole stream of an alert, on real PostgreSQL, with a provider and a gateway of the test."""

import json
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from service.domain.delivery import Delivery, State
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.network import origin_of
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Reach,
    SenderRejected,
    TryLater,
)
from service.store.deliveries import batch_claims, batch_writes
from service.store.operations import holds, pauses
from service.store.schema import AlertRow
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Broker, Context, Credentials
from workers import deliver
from workers.delivery import claiming, flushing, loop, outcomes
from workers.provider import Answer, Credential, Failure, Request
from workers.provider_kit.endpoints import AllowList

KEY_REFUSED = DeviceGone("its push service refuses our VAPID key for it", doubtful=True)
UNCLEAR = DeviceRefused("Google finds something wrong with this push", doubtful=True)


def batched(every, size):
    rest = iter(every)
    return iter(lambda: tuple(islice(rest, size)), ())


class Gateway:
    """Answers at once, in the order of sending, with what was sent."""

    def __init__(self):
        self.sent = []
        self.waiting = deque()

    def room(self, _pool):
        return 900 - len(self.waiting)

    def submit(self, pool, request):
        self.sent.append(request)
        self.waiting.append((pool, request))

    def poll(self, _timeout):
        answers = [(request, Answer(200, body=request.body)) for _, request in self.waiting]
        self.waiting.clear()
        return answers

    def in_flight(self, _pool=None):
        return len(self.waiting)

    def refresh(self, _pool):
        pass

    def leave_until(self, moment):
        self.leaves_until = moment

    def recall(self, _pool, _origins=None):
        return []

    def abandon(self):
        lost = [request for _, request in self.waiting]
        self.waiting.clear()
        return lost


class Provider:
    """Gives each address the verdict that `says` holds for it, else accepts."""

    window = 900
    per_minute = None
    ramp_seconds = 0

    def __init__(self, name="apns", guard=None):
        self.name = name
        self.guard = guard
        self.says = {}
        self.fails_at = ()
        self.at_once = 1

    def pushes(self, _message, _credential):
        return self

    def requests(self, targets, _now):
        for group in batched(sorted(targets, key=lambda each: each.position), self.at_once):
            for target in group:
                if target.position in self.fails_at:
                    raise RuntimeError(f"no push for {target.address}")
            address = group[0].address
            url = address if "://" in address else f"https://apns/{address}"
            yield Request(url, (), address.encode(), tuple(each.position for each in group))

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
        self.process = Context(
            engine,
            broker=Broker(self.messages),
            gateway=self.gateway,
            credentials=Credentials(credential),
            providers=self.providers,
        )

    def provider(self, name="apns", guard=None, says=lambda _: Accepted()):
        found = self.providers[name] = Provider(name, guard)
        found.read_answer = lambda answer, positions: [says(answer.body.decode())] * len(positions)
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

    def alert_again(self, alert_id):
        """Return another alert to the devices of an earlier one."""
        again = self.alert([])
        with transaction(self.engine) as session:
            provider, ids = session.execute(
                text("SELECT provider, device_ids FROM batch WHERE alert_id = :a"), {"a": alert_id}
            ).one()
            pending = [State.PENDING] * len(ids)
            alert = AlertRow(id=again)
            a.a_batch(session, alert, pending, provider=provider, device_ids=ids)
        return again

    def batch(self, alert_id, provider, addresses, n=1):
        """Give the alert one more batch."""
        with transaction(self.engine) as session:
            reader = a.a_reader(session)
            devices = [
                a.a_device(session, reader, address=address, provider=provider)
                for address in addresses
            ]
            pending = [State.PENDING] * len(devices)
            ids = [each.id for each in devices]
            alert = AlertRow(id=alert_id)
            a.a_batch(session, alert, pending, n=n, provider=provider, device_ids=ids)

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


def slowly(system):
    """Have one request of each provider in flight at a time, and each take two milliseconds."""
    waiting = system.gateway.waiting
    system.gateway.room = lambda name: 1 - sum(pool == name for pool, _ in waiting)
    quick = system.gateway.poll
    system.gateway.poll = lambda timeout: (loop.time.sleep(0.002), quick(timeout))[1]


def one_stream(system):
    """Let the server take one request at a time: the others wait in the gateway."""
    waiting = system.gateway.waiting

    def poll(_timeout):
        loop.time.sleep(0.002)
        if not waiting:
            return []
        _, request = waiting.popleft()
        return [(request, Answer(200, body=request.body))]

    def recall(_pool, origins=None):
        unsent = [
            pair
            for pair in list(waiting)[1:]
            if origins is None or origin_of(pair[1].url) in origins
        ]
        for pair in unsent:
            waiting.remove(pair)
        return [request for _, request in unsent]

    system.gateway.poll, system.gateway.recall = poll, recall


def suspects(system):
    return system.one("SELECT count(*) FROM device WHERE suspect_at IS NOT NULL")


def gone(system):
    return system.one("SELECT count(*) FROM device WHERE gone_at IS NOT NULL")


def test_a_push_service_that_refuses_our_key_loses_no_device_and_holds_no_other(system):
    refused = "https://one.example/"
    system.provider(
        "webpush",
        guard=lambda *_: False,
        says=lambda address: KEY_REFUSED if address.startswith(refused) else Accepted(),
    )
    addresses = [f"{refused}{n}" for n in range(30)] + [f"https://other.example/{n}" for n in "ab"]
    alert = system.alert(sorted(addresses, reverse=True))
    deliver.deliver(system.process, alert)
    assert gone(system) == suspects(system) == 0
    assert system.states(alert) == [State.ACCEPTED] * 2 + [State.RETRYING] * 30
    assert system.one("SELECT count(*) FROM hold") == 0
    assert system.one("SELECT min(due_at) > now() + interval '50 s' FROM retry")


@pytest.mark.parametrize(("known", "held"), [(False, 0), (True, 1)])
def test_doubts_of_a_server_that_nobody_named_hold_nobody_else(system, known, held):
    strange = "https://stranger.example/"
    provider = system.provider(
        "webpush",
        guard=lambda *_: False,
        says=lambda address: KEY_REFUSED if address.startswith(strange) else Accepted(),
    )
    provider.is_known_server = lambda url: known or not url.startswith(strange)
    provider.known_servers = None
    slowly(system)
    alert = system.alert([f"{strange}{n}" for n in range(25)] + ["https://known.example/a"])
    deliver.deliver(system.process, alert)
    assert system.one("SELECT count(*) FROM hold") == held
    states = system.states(alert)
    assert states.count(State.RETRYING) >= 20
    assert states[-1] is (State.PENDING if held else State.ACCEPTED)
    assert gone(system) == suspects(system) == 0


@pytest.mark.parametrize(
    ("provider", "guard", "origin"),
    [("apns", None, ""), ("webpush", lambda *_: False, "https://one.example/")],
)
def test_a_doubt_beside_acceptances_makes_a_suspect_and_a_day_later_an_end(
    system, provider, guard, origin
):
    says = {f"{origin}x": KEY_REFUSED}
    system.provider(provider, guard=guard, says=lambda address: says.get(address, Accepted()))
    alert = system.alert([f"{origin}{name}" for name in "abx"])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 2 + [State.BURIED]
    assert (gone(system), suspects(system)) == (0, 1)

    for age, state, dead in [("1 hour", State.BURIED, 0), ("25 hours", State.GONE, 1)]:
        with transaction(system.engine) as session:
            session.execute(
                text(
                    "UPDATE device SET suspect_at = now() - CAST(:age AS interval) "
                    "WHERE suspect_at IS NOT NULL"
                ),
                {"age": age},
            )
        again = system.alert_again(alert)
        deliver.deliver(system.process, again)
        assert system.states(again)[-1] is state
        assert gone(system) == dead


def test_one_acceptance_proves_nothing_beside_sixty_refusals(system):
    system.provider(says=lambda address: KEY_REFUSED if address != "a0" else Accepted())
    alert = system.alert([f"a{n}" for n in range(61)])
    deliver.deliver(system.process, alert)
    assert gone(system) == suspects(system) == 0
    assert system.states(alert) == [State.ACCEPTED] + [State.RETRYING] * 60
    reason = system.one("SELECT reason FROM hold WHERE provider = 'apns'")
    assert "accepted 1:" in reason


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (KEY_REFUSED, State.BURIED),
        (UNCLEAR, State.BURIED),
        (AlertRejected("malformed"), State.BURIED),
        (SenderRejected("no key for its platform", reach=Reach.DEVICE), State.BURIED),
        (SenderRejected("no permission", of_address=True), State.RETRYING),
    ],
)
@pytest.mark.parametrize("beside", [0, 10])
def test_addresses_that_were_never_accepted_end_nothing_but_their_own_delivery(
    system, verdict, state, beside
):
    says = lambda address: Accepted() if address.startswith("old") else verdict  # noqa: E731
    system.provider("fcm", says=says).window = 50
    alert = system.alert([f"new{n}" for n in range(120)] + [f"old{n}" for n in range(beside)])
    later = system.alert(["old"])
    with transaction(system.engine) as session:
        session.execute(text("UPDATE device SET trusted_at = NULL WHERE address LIKE 'new%'"))
    deliver.deliver(system.process, alert)
    deliver.deliver(system.process, later)
    assert system.states(alert) == [state] * 120 + [State.ACCEPTED] * beside
    assert system.states(later) == [State.ACCEPTED]
    assert system.one("SELECT count(*) FROM hold") == gone(system) == 0
    assert system.one("SELECT rejected_by FROM alert WHERE id = :a", a=alert) == []


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (KEY_REFUSED, State.BURIED),
        (UNCLEAR, State.BURIED),
        (TryLater("429", after=timedelta(hours=1), reach=Reach.ORIGIN), State.RETRYING),
    ],
)
def test_addresses_never_accepted_by_a_known_push_service_delay_no_others_there(
    system, verdict, state
):
    origin = "https://known.example/"
    system.provider(
        "webpush",
        guard=lambda *_: False,
        says=lambda address: verdict if "new" in address else Accepted(),
    ).window = 50
    new, old = [f"{origin}new{n}" for n in range(120)], [f"{origin}old{n}" for n in range(10)]
    alert = system.alert(new + old)
    with transaction(system.engine) as session:
        session.execute(text("UPDATE device SET trusted_at = NULL WHERE address LIKE '%new%'"))
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [state] * 120 + [State.ACCEPTED] * 10
    assert system.one("SELECT count(*) FROM hold") == gone(system) == 0


def test_a_provider_that_never_accepted_anything_is_held_by_the_doubts_of_new_addresses(system):
    system.provider(says=lambda _: KEY_REFUSED)
    alert = system.alert([f"new{n}" for n in range(40)])
    with transaction(system.engine) as session:
        session.execute(text("UPDATE device SET trusted_at = NULL"))
    deliver.deliver(system.process, alert)
    assert system.one("SELECT count(*) FROM hold") == 1
    assert system.states(alert).count(State.BURIED) == 0


def test_an_acceptance_is_noted_of_a_device(system):
    system.provider()
    alert = system.alert(["a", "b"])
    with transaction(system.engine) as session:
        session.execute(text("UPDATE device SET trusted_at = NULL, refusals = 3"))
    deliver.deliver(system.process, alert)
    noted = "SELECT count(*) FROM device WHERE trusted_at IS NOT NULL AND refusals = 0"
    assert system.one(noted) == 2


def test_a_device_refused_in_five_alerts_is_a_suspect_and_on_another_day_gone(system):
    system.provider(says=lambda address: DeviceRefused("400") if address == "x" else Accepted())
    alert = system.alert(["a", "b", "x"])
    for count in range(1, 6):
        deliver.deliver(system.process, alert)
        assert (suspects(system), gone(system)) == (int(count == 5), 0)
        alert = system.alert_again(alert)
    with transaction(system.engine) as session:
        session.execute(
            text(
                "UPDATE device SET suspect_at = now() - interval '25 h' "
                "WHERE suspect_at IS NOT NULL"
            )
        )
    deliver.deliver(system.process, alert)
    assert gone(system) == 1


def test_refusals_of_most_devices_are_held_against_none_of_them(system):
    system.provider(says=lambda address: DeviceRefused("400") if address != "a0" else Accepted())
    alert = system.alert([f"a{n}" for n in range(20)])
    deliver.deliver(system.process, alert)
    assert system.states(alert).count(State.BURIED) == 19
    assert system.one("SELECT max(refusals) FROM device") == 0


def test_an_alert_that_one_push_service_cannot_take_ends_there_alone(system):
    bad = "https://one.example/"
    system.provider(
        "webpush",
        guard=lambda *_: False,
        says=lambda address: UNCLEAR if address.startswith(bad) else Accepted(),
    ).window = 50
    other = [f"https://other.example/{n}" for n in range(30)]
    alert = system.alert([f"{bad}{n}" for n in range(300)] + other)
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.BURIED] * 300 + [State.ACCEPTED] * 30
    assert 100 <= sum(request.url.startswith(bad) for request in system.gateway.sent) <= 150
    assert system.one("SELECT rejected_by FROM alert WHERE id = :a", a=alert) == []


def test_very_many_unclear_refusals_and_no_acceptance_end_the_alert_on_the_provider(system):
    system.provider("fcm", says=lambda _: UNCLEAR).window = 50
    alert = system.alert([f"a{n}" for n in range(300)])
    deliver.deliver(system.process, alert)
    states = system.states(alert)
    assert states.count(State.BURIED) + states.count(State.CANCELLED) == 300
    assert 100 <= states.count(State.BURIED) <= 150
    assert system.one("SELECT rejected_by FROM alert WHERE id = :a", a=alert) == ["fcm"]


def test_unclear_refusals_beside_an_acceptance_are_each_devices_own(system):
    system.provider("fcm", says=lambda address: UNCLEAR if address != "a7" else Accepted())
    alert = system.alert([f"a{n}" for n in range(300)])
    deliver.deliver(system.process, alert)
    assert system.states(alert).count(State.BURIED) == 299


def test_what_was_accepted_before_a_fault_of_ours_is_on_record_and_given_back(system):
    def submit(pool, request):
        if request.body == b"d":
            raise RuntimeError("a fault of ours")
        works(pool, request)

    system.provider().window = 3
    alert = system.alert(["a", "b", "c", "d", "e"])
    system.gateway.room = lambda _: 1 - len(system.gateway.waiting)
    works, system.gateway.submit = system.gateway.submit, submit
    with pytest.raises(RuntimeError):
        deliver.deliver(system.process, alert)
    assert system.states(alert)[:3] == [State.ACCEPTED] * 3
    assert system.one("SELECT count(*) FROM batch WHERE lease_token IS NOT NULL") == 0
    assert system.one(
        "SELECT claimable_at > now() + interval '1 s' FROM batch WHERE alert_id = :a", a=alert
    )


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("faults", [{0}, {5}, {9}, {2, 3, 8}, set(range(10))])
def test_a_push_that_cannot_be_built_is_buried_and_all_others_leave(system, faults, at_once):
    provider = system.provider()
    provider.fails_at = faults
    provider.at_once = at_once
    alert = system.alert([f"secret-{n}" for n in range(10)])
    with capture_logs() as logs:
        deliver.deliver(system.process, alert)
    assert [position in faults for position in range(10)] == [
        state is State.BURIED for state in system.states(alert)
    ]
    assert system.states(alert).count(State.ACCEPTED) == 10 - len(faults)
    sent = [position for request in system.gateway.sent for position in request.positions]
    assert sorted(sent) == sorted(set(range(10)) - faults)
    reasons = system.one("SELECT string_agg(reason || answer, ';') FROM dead_letter")
    assert reasons == "its push could not be built (RuntimeError)"
    assert "secret-" not in str(logs)
    assert [each["where"].partition(":")[0] for each in logs if "where" in each] == [__name__]
    assert system.one("SELECT state FROM alert WHERE id = :a", a=alert) == "finished"


def test_an_answer_that_cannot_be_read_spoils_no_other_and_is_not_asked_for_again(system):
    def says(address):
        if address == "c":
            raise RuntimeError(f"no meaning for {address}")
        return Accepted()

    system.provider(says=says)
    alert = system.alert(["a", "b", "c", "d"])
    deliver.deliver(system.process, alert)
    assert [request.body for request in system.gateway.sent] == [b"a", b"b", b"c", b"d"]
    assert system.states(alert) == [State.ACCEPTED] * 2 + [State.BURIED, State.ACCEPTED]
    [unread] = system.one("SELECT states FROM batch")[2:3]
    assert Delivery.unpack(unread).unknown
    assert system.one("SELECT reason FROM dead_letter") == (
        "its answer could not be read (RuntimeError)"
    )


def test_an_endpoint_that_is_none_breaks_no_stream_off(system):
    no = DeviceRefused("forbidden")
    provider = system.provider(
        "webpush", guard=lambda *_: False, says=lambda it: no if "[" in it else Accepted()
    )
    provider.is_known_server = AllowList.parse(["*"]).is_known_server
    provider.known_servers = None
    alert = system.alert(["https://[bad/x", "https://one.example/a"])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.BURIED, State.ACCEPTED]


def test_a_provider_that_cannot_take_the_alert_at_all_keeps_no_other_waiting(system, monkeypatch):
    broken = system.provider("apns")
    system.provider("fcm")
    monkeypatch.setattr(broken, "pushes", lambda *_: {}["a fault of ours"])
    alert = system.alert(["a", "b"])
    system.batch(alert, "fcm", ["c"])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.BURIED, State.BURIED, State.ACCEPTED]
    assert system.one("SELECT reason FROM dead_letter") == "its push could not be built (KeyError)"
    assert [request.body for request in system.gateway.sent] == [b"c"]


def test_a_stream_with_every_provider_held_ends_though_shards_are_open(system):
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


def hold_apns(system):
    with transaction(system.engine) as session:
        holds.hold(session, "apns", "a person said so", "a person")


def test_a_persons_hold_reaches_a_running_stream(system):
    addresses = [f"a{n}" for n in range(200)]

    def says(address):
        if address == addresses[0]:
            hold_apns(system)
        return Accepted()

    system.provider(says=says)
    slowly(system)
    alert = system.alert(addresses)
    deliver.deliver(system.process, alert)
    assert 0 < system.states(alert).count(State.PENDING) < 200


STOP = "UPDATE alert SET state = 'stopped' WHERE id = :a"


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda system, _: hold_apns(system), State.PENDING),
        (lambda system, alert: system.one(f"{STOP} RETURNING 1", a=alert), State.CANCELLED),
        (lambda system, _: system.process.stopping.set(), State.PENDING),
    ],
    ids=["held", "stopped", "told to end"],
)
def test_what_waits_for_a_stream_does_not_leave_any_more(system, change, state):
    addresses = [f"a{n}" for n in range(500)]

    def says(address):
        if address == addresses[0]:
            change(system, alert)
        return Accepted()

    system.provider(says=says)
    one_stream(system)
    alert = system.alert(addresses)
    deliver.deliver(system.process, alert)
    states = system.states(alert)
    assert 1 <= states.count(State.ACCEPTED) < 400
    assert states.count(State.ACCEPTED) + states.count(state) == 500


def test_a_digest_whose_words_cannot_be_read_is_given_back_and_sent(system, monkeypatch):
    reads = []

    def missed_alerts(_session, _ids):
        reads.append(loop.time.monotonic())
        if len(reads) == 1:
            raise OperationalError("SELECT", {}, Exception("the database is shut down"))
        return []

    monkeypatch.setattr(claiming, "missed_alerts", missed_alerts)
    system.provider()
    alert = system.alert(["a"], missed=[1])
    deliver.deliver(system.process, alert)
    assert len(reads) == 2
    assert system.states(alert) == [State.CANCELLED]


def test_what_waits_for_a_push_service_that_asks_for_a_pause_does_not_leave(system):
    busy = TryLater("HTTP 429", after=timedelta(hours=1), reach=Reach.ORIGIN)
    system.provider(
        "webpush",
        guard=lambda *_: False,
        says=lambda address: busy if address.startswith("https://busy.") else Accepted(),
    )
    one_stream(system)
    addresses = [f"https://{name}.example/{n}" for n in range(100) for name in ("busy", "quick")]
    alert = system.alert(addresses)
    deliver.deliver(system.process, alert)
    states = system.states(alert)
    assert states[1::2] == [State.ACCEPTED] * 100
    assert states[::2] == [State.RETRYING] * 100
    assert system.one("SELECT count(*) FROM retry WHERE due_at < now() + interval '50 min'") == 0
    attempts = system.one("SELECT string_agg(states, '') FROM batch WHERE alert_id = :a", a=alert)
    assert 1 <= sum(Delivery.unpack(byte).attempts for byte in bytes(attempts)[::2]) < 5


@pytest.mark.parametrize(
    ("names", "probes"),
    [(["apns"], False), ([], False), (["apns"], True)],
    ids=["in use", "its app is gone", "probing"],
)
def test_a_pause_of_all_sending_reaches_a_running_stream(system, names, probes):
    addresses = [f"a{n}" for n in range(200)]

    def says(address):
        if address == addresses[0]:
            with transaction(system.engine) as session:
                pauses.pause(session, "a drill", "a person")
        return TryLater("HTTP 503", after=timedelta(hours=5)) if probes else Accepted()

    system.provider(says=says)
    slowly(system)
    alert = system.alert(addresses)
    if probes:
        with transaction(system.engine) as session:
            holds.hold(session, "apns", "the key was revoked", holds.WORKER)
            session.execute(text("UPDATE hold SET probe_at = now()"))
    system.process.names = names
    deliver.deliver(system.process, alert)
    assert 0 < system.states(alert).count(State.PENDING) < 200


def test_a_channel_goes_on_in_the_same_stream_when_its_hold_has_ended(system):
    addresses = [f"a{n}" for n in range(100)]

    def says(address):
        if address == addresses[0]:
            with transaction(system.engine) as session:
                holds.release(session, "fcm")
        return Accepted()

    system.provider(says=says)
    system.provider("fcm")
    slowly(system)
    alert = system.alert(addresses)
    system.batch(alert, "fcm", ["b", "c"])
    with transaction(system.engine) as session:
        holds.hold(session, "fcm", "a person said so", "a person")
    deliver.deliver(system.process, alert)
    assert set(system.states(alert)) == {State.ACCEPTED}


def test_a_channel_stays_closed_while_only_this_stream_knows_of_the_hold(system, monkeypatch):
    def away(*args, **options):
        raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(outcomes.holds, "hold", away)
    system.provider()
    revoked = SenderRejected("The key was revoked.")
    system.provider("fcm", says=lambda address: revoked if "f" in address else Accepted())
    slowly(system)
    alert = system.alert([f"a{n}" for n in range(100)])
    system.batch(alert, "fcm", ["f1", "f2"])
    deliver.deliver(system.process, alert)
    assert [request.body for request in system.gateway.sent].count(b"f1") == 1
    assert b"f2" not in [request.body for request in system.gateway.sent]


def test_a_stream_with_nothing_for_a_held_provider_leaves_its_probe_to_another(system):
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

    monkeypatch.setattr(outcomes.holds, "hold", away)
    revoked = SenderRejected("The key was revoked.")
    system.provider(says=lambda address: revoked if address == "a0" else Accepted())
    alert = system.alert([f"a{n}" for n in range(5)])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.RETRYING] + [State.ACCEPTED] * 4


def test_a_database_that_takes_nothing_is_tried_by_the_timer_alone(system, monkeypatch):
    tries = []
    write = batch_writes.write_alone

    def away(*args):
        tries.append(loop.time.monotonic())
        if len(tries) <= 5:
            raise OperationalError("UPDATE", {}, Exception("the database is shut down"))
        return write(*args)

    monkeypatch.setattr(flushing.batch_writes, "write_alone", away)
    system.provider(says=lambda _: TryLater("503"))
    alert = system.alert(["a"])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.RETRYING]
    assert tries[5] - tries[0] >= 4 * system.process.settings.flush_ms / 1000


def test_a_write_whose_answer_was_lost_is_repeated_and_counts_once(system, monkeypatch):
    lost = []

    @contextmanager
    def cut_off(engine):
        with transaction(engine) as session:
            yield session
        if system.gateway.sent and len(lost) < 3:
            lost.append(len(system.gateway.sent))
            raise OperationalError("COMMIT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(flushing, "transaction", cut_off)
    no = DeviceRefused("too old")
    system.provider(says=lambda address: no if int(address) % 2 else Accepted())
    slowly(system)
    alert = system.alert([str(n) for n in range(60)])
    deliver.deliver(system.process, alert)
    assert 0 < lost[0] < lost[1] < 60
    steps = system.one("SELECT progress FROM batch WHERE alert_id = :a", a=alert)
    assert sum(steps[1::2]) == 30
    buried = system.one("SELECT array_agg(p ORDER BY p) FROM dead_letter, unnest(positions) AS p")
    assert buried == list(range(1, 60, 2))


def test_suspects_are_marked_though_the_first_writes_failed(system, monkeypatch):
    failed = []

    @contextmanager
    def away(engine):
        with transaction(engine) as session:
            yield session
            if system.gateway.sent and len(failed) < 2:
                failed.append(len(system.gateway.sent))
                raise OperationalError("COMMIT", {}, Exception("the database is shut down"))

    monkeypatch.setattr(flushing, "transaction", away)
    system.provider(says=lambda address: KEY_REFUSED if address > "d" else Accepted())
    alert = system.alert(["a", "b", "c", "d", "x", "y", "z"])
    deliver.deliver(system.process, alert)
    assert len(failed) == 2
    assert system.states(alert) == [State.ACCEPTED] * 4 + [State.BURIED] * 3
    assert suspects(system) == 3


def test_a_batch_that_is_taken_up_again_keeps_when_the_first_were_accepted(system):
    answers = iter([TryLater("503", after=timedelta(0))])
    system.provider(says=lambda _: next(answers, Accepted()))
    alert = system.alert(["a", "b"])
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.RETRYING, State.ACCEPTED]
    with transaction(system.engine) as session:
        session.execute(text("UPDATE retry SET due_at = now()"))
        session.execute(text("UPDATE batch SET claimable_at = now()"))
    deliver.deliver(system.process, alert)
    steps = system.one("SELECT progress FROM batch WHERE alert_id = :a", a=alert)
    assert sum(steps[1::2]) == 2


BUSY = TryLater("HTTP 503", after=timedelta(hours=5))


@pytest.mark.parametrize(
    ("room", "answer", "state"),
    [(0, BUSY, "expired"), (1, BUSY, "expired"), (1, Accepted(), "finished")],
)
def test_an_alert_of_which_nothing_was_accepted_before_its_deadline_is_expired(
    system, room, answer, state
):
    system.provider(says=lambda _: answer)
    system.gateway.room = lambda _: room - len(system.gateway.sent)
    alert = system.alert(["a", "b"])
    with transaction(system.engine) as session:
        session.execute(text("UPDATE alert SET expires_at = now() + interval '300 ms'"))
    deliver.deliver(system.process, alert)
    assert system.states(alert).count(State.EXPIRED) == (1 if answer == Accepted() else 2)
    assert system.one("SELECT state FROM alert WHERE id = :a", a=alert) == state
    busy = room if answer is BUSY else 0
    assert system.one("SELECT count(*) FROM retry WHERE why = 'HTTP 503'") == busy


def test_a_process_of_which_nothing_leaves_gives_its_batches_back_and_says_so(system):
    provider = system.provider()
    provider.read_answer = lambda *_: [TryLater("not sent: refused", after=timedelta(0))]
    system.gateway.room = lambda _: 50 - len(system.gateway.waiting)
    refused = Answer(0, failure=Failure.NOT_SENT, detail="refused")
    heard = system.gateway.poll
    system.gateway.poll = lambda timeout: [(request, refused) for request, _ in heard(timeout)]
    alert = system.alert([f"a{n}" for n in range(300)])
    for n in range(2):
        system.batch(alert, "apns", [f"b{n}-{i}" for i in range(300)], n=n + 1)
    deliver.deliver(system.process, alert)
    assert len(system.gateway.sent) == 50
    assert system.states(alert).count(State.PENDING) == 850
    unclaimed = "SELECT count(*) FROM batch WHERE lease_token IS NULL AND claimable_at <= now()"
    assert system.one(unclaimed) == 3
    assert system.process.ways.note == ["apns: not sent: refused"]
    way = system.process.ways.to("apns")
    way.next_try_at = 0.0
    deliver.deliver(system.process, alert)
    assert len(system.gateway.sent) == 51
    way.next_try_at = 0.0
    system.gateway.poll = heard
    provider.read_answer = lambda *_: [Accepted()]
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED] * 900
    assert system.process.ways.note == []


def test_a_rejection_that_a_replay_took_back_is_not_written_again(system):
    def says(address):
        if address == "a20":
            with transaction(system.engine) as session:
                assert session.execute(text("SELECT rejected_by FROM alert")).scalar_one()
                session.execute(text("UPDATE alert SET rejected_by = '{}'"))
        return Accepted()

    system.provider(says=says)
    system.provider("fcm", says=lambda _: AlertRejected("HTTP 413"))
    slowly(system)
    alert = system.alert([f"a{n}" for n in range(60)])
    system.batch(alert, "fcm", ["b"])
    deliver.deliver(system.process, alert)
    assert system.one("SELECT rejected_by FROM alert WHERE id = :a", a=alert) == []


@pytest.mark.parametrize(("waiting", "accepted"), [(1, False), (0, True)])
def test_a_long_breaking_stream_makes_way_for_what_waits_in_its_queue(
    system, monkeypatch, waiting, accepted
):
    monkeypatch.setattr(loop, "STREAM_S", 0.05)
    system.process.waiting = lambda _: waiting
    system.provider()
    slowly(system)
    alert = system.alert([f"a{n}" for n in range(100)])
    deliver.deliver(system.process, alert)
    assert (State.PENDING not in system.states(alert)) is accepted
    assert [message.task for message in system.messages] == ([] if accepted else ["deliver"])


def test_a_normal_stream_calls_for_help_to_a_waiting_breaking_alert_before_it_sends(system):
    system.provider()
    breaking = system.alert(["b"], urgency=2)
    normal = system.alert(["a"], urgency=1)
    deliver.deliver(system.process, normal)
    assert system.gateway.sent == []
    assert [(message.queue, message.args) for message in system.messages] == [
        ("urgent", (breaking,)),
        ("normal", (normal,)),
    ]


def test_a_normal_stream_stands_aside_while_others_begin_a_breaking_alert(system):
    system.provider()
    breaking = system.alert(["b"], urgency=2)
    with transaction(system.engine) as session:
        batch_claims.claim(session, breaking, "apns", lease_s=20)
        begun = "UPDATE batch SET started_at = now() - interval '1.8 s' WHERE alert_id = :a"
        session.execute(text(begun), {"a": breaking})
    normal = system.alert(["a"], urgency=1)
    before = datetime.now(UTC)
    deliver.deliver(system.process, normal)
    assert datetime.now(UTC) - before > timedelta(seconds=0.15)
    assert system.states(normal) == [State.ACCEPTED]


@pytest.mark.parametrize("urgency", [1, 2])
def test_a_slow_provider_is_heard_out_when_the_stream_must_end(system, monkeypatch, urgency):
    monkeypatch.setattr(loop, "STREAM_S", 0.05)
    monkeypatch.setattr(loop, "LAST_ANSWERS_S", 0.01)
    system.process.waiting = lambda _: 1
    system.provider()
    alert = system.alert([f"a{n}" for n in range(5)], urgency=urgency)
    answers_at = loop.time.monotonic() + 0.5
    quick = system.gateway.poll

    def poll(timeout):
        loop.time.sleep(min(timeout, 0.01))
        return quick(timeout) if loop.time.monotonic() > answers_at else []

    system.gateway.poll = poll
    deliver.deliver(system.process, alert)
    assert len(system.gateway.sent) == 5
    assert system.states(alert) == [State.ACCEPTED] * 5


def test_a_silent_device_does_not_delay_the_retries_of_its_batch(system, monkeypatch):
    monkeypatch.setattr(loop, "STREAM_S", 6)
    again = TryLater("busy", after=timedelta(seconds=1))
    system.provider(says=lambda body: again if len(times[body]) == 1 else Accepted())
    times = {"silent": [], "busy": []}
    begin = loop.time.monotonic()

    def poll(timeout):
        loop.time.sleep(min(timeout, 0.01))
        answers = []
        for pool, request in list(system.gateway.waiting):
            seconds = loop.time.monotonic() - begin
            if request.body != b"silent" or seconds > 4:
                system.gateway.waiting.remove((pool, request))
                times[request.body.decode()].append(seconds)
                answers.append((request, Answer(200, body=request.body)))
        return answers

    system.gateway.poll = poll
    alert = system.alert(["silent", "busy"])
    deliver.deliver(system.process, alert)
    assert len(times["busy"]) == 2
    assert times["busy"][1] < 3
    assert system.states(alert)[1] is State.ACCEPTED


def test_a_process_that_is_told_to_end_waits_for_seconds_only(system, monkeypatch):
    monkeypatch.setattr(loop, "LAST_ANSWERS_S", 0.05)
    system.provider()
    alert = system.alert(["a", "b"])

    def poll(timeout):
        system.process.stopping.set()
        loop.time.sleep(min(timeout, 0.01))
        return []

    system.gateway.poll = poll
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.RETRYING] * 2


@pytest.mark.parametrize("queue", [None, "urgent", "normal"])
def test_a_normal_stream_makes_way_for_any_message_and_goes_on_without_one(
    system, monkeypatch, queue
):
    monkeypatch.setattr(loop, "STREAM_S", 0.05)
    system.process.waiting = lambda name: int(name == queue)
    system.provider()
    slowly(system)
    alert = system.alert([f"a{n}" for n in range(100)], urgency=1)
    deliver.deliver(system.process, alert)
    assert (set(system.states(alert)) == {State.ACCEPTED}) is (queue is None)
    assert [message.task for message in system.messages] == ([] if queue is None else ["deliver"])


@pytest.fixture
def strangers(system):
    """An alert with a batch for servers that are named and a batch for others."""
    provider = system.provider("webpush", guard=lambda *_: False)
    provider.is_known_server, provider.known_servers = (lambda _: False), "^https://known"
    alert = system.alert(["https://known.example/a"], urgency=1)
    system.batch(alert, "webpush", ["https://one.example/b", "https://one.example/c"])
    with transaction(system.engine) as session:
        session.execute(text("UPDATE batch SET strangers = n > 0"))
    return alert


@pytest.mark.parametrize(
    ("apart", "open_to", "states"),
    [
        (False, {"webpush": "^https://known"}, [State.ACCEPTED, State.PENDING, State.PENDING]),
        (True, {"webpush": "^https://known"}, [State.PENDING, State.ACCEPTED, State.ACCEPTED]),
        (False, {}, [State.ACCEPTED] * 3),  # they were allowed when the batch was packed
    ],
)
def test_servers_that_nobody_named_are_sent_to_by_a_process_of_their_own(
    system, strangers, apart, open_to, states
):
    system.process.strangers, system.process.known_servers = apart, open_to
    deliver.deliver(system.process, strangers)
    assert system.states(strangers) == states


@pytest.mark.parametrize("apart", [False, True])
def test_breaking_alerts_go_first_among_pushes_of_one_kind(system, strangers, apart):
    breaking = system.alert(["https://one.example/d"], urgency=2)
    with transaction(system.engine) as session:
        session.execute(
            text("UPDATE batch SET strangers = true WHERE alert_id = :a"), {"a": breaking}
        )
    system.process.strangers = apart
    system.process.known_servers = {"webpush": "^https://known"}
    system.process.names = ["webpush"]
    deliver.deliver(system.process, strangers)
    tasks = [(message.task, message.queue, message.args) for message in system.messages]
    makes_way = [
        ("deliver_strangers", "strangers", (breaking,)),
        ("deliver_strangers", "strangers", (strangers,)),
    ]
    assert tasks == (makes_way if apart else [])
    assert len(system.gateway.sent) == (0 if apart else 1)


def test_a_held_provider_is_never_tried_at_a_server_that_nobody_named(system, strangers):
    with transaction(system.engine) as session:
        holds.hold(session, "webpush", "refused", "tests")
        session.execute(text("UPDATE hold SET probe_at = now() - interval '1 s'"))
    system.process.strangers = True
    system.process.names = ["webpush"]
    system.process.known_servers = {"webpush": "^https://known"}
    deliver.deliver(system.process, strangers)
    assert system.gateway.sent == []
    assert system.one("SELECT probe_at < now() FROM hold")


def test_a_spread_alert_holds_no_process_while_nothing_of_it_is_released(system):
    system.provider()
    alert = system.alert(["a"], urgency=1)
    system.batch(alert, "apns", ["b"])
    with transaction(system.engine) as session:
        session.execute(text("UPDATE alert SET spread_s = 600"))
        session.execute(
            text("UPDATE batch SET claimable_at = now() + interval '5 min' WHERE n = 1")
        )
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED, State.PENDING]
    assert system.one("SELECT count(*) FROM batch WHERE lease_token IS NOT NULL") == 0
    deliver.deliver(system.process, alert)
    assert len(system.gateway.sent) == 1


def test_what_a_spread_alert_missed_while_no_worker_ran_does_not_leave_all_at_once(system):
    system.provider()
    alert = system.alert(["a"], urgency=1)
    for n in (1, 2):
        system.batch(alert, "apns", [f"b{n}"], n=n)
    with transaction(system.engine) as session:
        session.execute(text("UPDATE alert SET spread_s = 600"))
        session.execute(text("UPDATE batch SET claimable_at = now() - (10 - n) * interval '1 min'"))
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.ACCEPTED, State.PENDING, State.PENDING]


def test_each_zone_has_its_own_deadline_and_nothing_leaves_after_it(system):
    provider = system.provider()
    deadlines = []
    provider.pushes = lambda content, _: deadlines.append(content.expires_at) or provider
    alert = system.alert(["a"], urgency=1)
    for n in (1, 2):
        system.batch(alert, "apns", [f"b{n}"], n=n)
    with transaction(system.engine) as session:
        session.execute(text("UPDATE batch SET expires_at = now() + (n - 1) * interval '1 min'"))
        ends = session.execute(text("SELECT expires_at FROM batch ORDER BY n")).scalars().all()
    deliver.deliver(system.process, alert)
    assert system.states(alert) == [State.EXPIRED, State.EXPIRED, State.ACCEPTED]
    assert [request.body for request in system.gateway.sent] == [b"b2"]
    assert deadlines == ends


def test_each_batch_leaves_with_its_own_headline(system):
    provider = system.provider()
    said = []
    provider.pushes = lambda content, _: said.append(content.words[""].title) or provider
    alert = system.alert(["a"], urgency=1)
    system.batch(alert, "apns", ["b"])
    test = HeadlineTest(title="Floods")
    with transaction(system.engine) as session:
        session.execute(text("UPDATE batch SET headline = n, in_test = true"))
        values = {"test": json.dumps(test.to_json())}
        session.execute(text("UPDATE alert SET headline_test = CAST(:test AS jsonb)"), values)
    deliver.deliver(system.process, alert)
    assert said == ["Rain at last", "Floods"]
    assert system.states(alert) == [State.ACCEPTED, State.ACCEPTED]
