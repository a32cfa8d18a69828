"""Reads by a streaming replica, and a primary that another server takes the place of."""

import time
from contextlib import ExitStack
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
from sqlalchemy import exc, text
from sqlmodel import Session

from service.domain.subscription import Urgency
from service.store import migrate
from service.store.deliveries import packing, shards
from service.store.replica import (
    AWAY_REST_S,
    NO_REPLICA,
    Replica,
    log_place,
    open_replica,
)
from service.store.schema import ID_LIMIT
from service.store.session import DATABASE_AWAY, engine_url, open_engine, transaction
from tests import builders as a
from tests.store.replication import run_pair
from workers.upkeep import doctor_servers

PROVIDERS = ["apns", "fcm", "webpush"]


class Elsewhere(Replica):
    """A replica that is this very database, always caught up."""

    def open_session(self, _place):
        return Session(self.engine)


def planned_alert(session, **given):
    story = a.a_story(session, topics=["world"])
    alert = a.an_alert(
        session,
        story,
        everyone=True,
        topic_ids=[],
        above=[],
        started_at=a.NOON,
        urgency=Urgency.NORMAL.rank,
        **given,
    )
    shards.add(session, alert.id, [(0, ID_LIMIT)])
    return alert.id


def crowd(session, *, choose):
    zones = ("UTC", "Asia/Kolkata")
    quiet = [{}, {"quiet_from": a.NOON.time(), "quiet_to": (a.NOON + timedelta(hours=1)).time()}]
    for n in range(24):
        reader = a.a_reader(
            session,
            timezone=zones[n % 2],
            reads=["hi"] if n % 3 else [],
            results=(None, True, False)[n % 3] if choose else None,
            **quiet[n // 2 % 2],
        )
        for provider in PROVIDERS[: 1 + n % 3]:
            known = "https://known.example" if n % 5 else "https://anybody.example"
            a.a_device(session, reader, provider=provider, address=f"{known}/{provider}{n}")


def batches_of(session, alert_id):
    rows = session.execute(
        text(
            "SELECT n, provider, strangers, results, device_ids, states, counts,"
            " finished_at IS NULL FROM batch WHERE alert_id = :a ORDER BY n"
        ),
        {"a": alert_id},
    ).all()
    left_out = session.execute(
        text("SELECT left_out FROM shard WHERE alert_id = :a"), {"a": alert_id}
    ).scalar_one()
    return [tuple(row) for row in rows], left_out


@pytest.mark.parametrize("languages", [None, ["en"]])
@pytest.mark.parametrize("known", [{}, {"webpush": "^https://known"}])
@pytest.mark.parametrize("state", ["planning", "stopped"])
@pytest.mark.parametrize("one_device", [False, True])
def test_a_shard_read_elsewhere_is_packed_as_by_one_statement(
    engine, monkeypatch, languages, known, state, one_device
):
    monkeypatch.setattr(packing, "BATCH", 7)
    packed = []
    with transaction(engine) as session:
        crowd(session, choose=one_device)
    for replica in (NO_REPLICA, Elsewhere(engine)):
        with transaction(engine) as session:
            alert_id = planned_alert(
                session,
                languages=languages,
                state=state,
                one_device=one_device,
                start_place="0/0",
            )
            alert = shards.planned_alert(session, alert_id)
            assert shards.fan_out(session, alert, PROVIDERS, known_servers=known, replica=replica)
            packed.append(batches_of(session, alert_id))
    assert packed[0] == packed[1]
    assert packed[0][0]


def test_a_shard_of_nobody_read_elsewhere_has_no_batches(engine):
    with transaction(engine) as session:
        alert = shards.planned_alert(session, planned_alert(session, start_place="0/0"))
        assert shards.fan_out(session, alert, PROVIDERS, replica=Elsewhere(engine))
        assert batches_of(session, alert.alert_id) == ([], [0] * 3)


def test_an_alert_without_a_place_in_the_log_is_read_by_the_primary(engine):
    sources = []
    assert Replica(engine, sources.append).read(None, lambda _: 1) is None
    assert sources == []


def test_what_is_no_replica_answers_nothing_and_is_left_alone_for_a_while(engine):
    sources, now = [], [0.0]
    replica = Replica(engine, sources.append, clock=lambda: now[0])
    with transaction(engine) as session:
        place = log_place(session)
    assert replica.read(place, lambda _: 1) is None
    assert replica.examine(place) is None
    assert replica.read(place, lambda _: pytest.fail("asked again at once")) is None
    assert sources == ["lagging", "lagging"]


def test_a_replica_that_cannot_be_reached_is_asked_once_in_some_seconds():
    sources, now = [], [0.0]
    away = open_engine("postgresql://nobody@127.0.0.1:1/none")
    replica = Replica(away, sources.append, clock=lambda: now[0])
    for seconds in (0, AWAY_REST_S - 0.1, AWAY_REST_S + 0.1):
        now[0] = seconds
        assert replica.read("0/0", lambda _: 1) is None
    assert sources == ["away"] * 3


@pytest.mark.parametrize(
    ("url", "host", "port", "password"),
    [
        ("postgresql://u:p%40@a:1,b:2/n?target_session_attrs=read-write", "a,b", "1,2", "p@"),
        ("postgres://u:p@a:1,b/n", "a,b", "1,", "p"),
        ("postgresql://u:p@a:5/n", "a", 5, "p"),
    ],
)
def test_a_url_may_name_several_hosts(url, host, port, password):
    engine = open_engine(url)
    _, parameters = engine.dialect.create_connect_args(engine_url(url))
    assert (parameters["host"], parameters["port"]) == (host, port)
    assert (parameters["user"], parameters["password"]) == ("u", password)
    assert parameters.get("target_session_attrs") == ("read-write" if "read-write" in url else None)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs of servers by name: one for all tests, and a new one once a test has used it up."""
    with ExitStack() as stack:

        def start():
            pair = stack.enter_context(run_pair(tmp_path_factory.mktemp("pair")))
            migrate.migrate(pair.primary.database_url)
            return pair

        yield {"start": start}


@pytest.fixture
def pair(pairs):
    if "pair" not in pairs or pairs["pair"].is_used_up:
        pairs["pair"] = pairs["start"]()
    return pairs["pair"]


@pytest.fixture
def primary(pair):
    engine = open_engine(pair.primary.database_url)
    yield engine
    engine.dispose()


def catch_up(primary, replica):
    with transaction(primary) as session:
        place = log_place(session)
    deadline = time.monotonic() + 20
    while replica.read(place, lambda _: 1) is None and time.monotonic() < deadline:
        replica._rest_until = 0.0


def examine(pair):
    settings = SimpleNamespace(
        database_url=pair.both_url, database_replica_url=pair.replica.database_url, db_pooler=False
    )
    return doctor_servers._examine_replica(settings)


def packs_a_new_reader(primary, replica):
    with transaction(primary) as session:
        device = a.a_device(session, a.a_reader(session)).id
    with transaction(primary) as session:
        alert_id = planned_alert(session, start_place=log_place(session))
    with transaction(primary) as session:
        alert = shards.planned_alert(session, alert_id)
        assert shards.fan_out(session, alert, PROVIDERS, replica=replica)
        batches, _ = batches_of(session, alert_id)
    return any(device in ids for _, _, _, _, ids, *_ in batches)


def test_a_replica_reads_a_shard_and_one_that_lags_does_not(pair, primary):
    sources = []
    replica = open_replica(pair.replica.database_url, note=sources.append)
    catch_up(primary, replica)
    sources.clear()
    assert packs_a_new_reader(primary, replica)
    assert sources == ["replica"]
    pair.tell_replica("SELECT pg_wal_replay_pause()")
    assert packs_a_new_reader(primary, replica)
    assert sources[1:] == ["lagging"]
    with transaction(primary) as session:
        assert replica.examine(log_place(session)) > 0
    pair.tell_replica("SELECT pg_wal_replay_resume()")
    catch_up(primary, replica)
    assert packs_a_new_reader(primary, replica)
    assert sources[-1] == "replica"
    assert examine(pair).is_well, examine(pair).sentence
    replica.close()


def test_a_server_that_turns_out_to_be_read_only_is_left_at_once(pair):
    engine = open_engine(pair.replica.database_url)
    with pytest.raises(exc.InternalError) as refused, transaction(engine) as session:
        a.a_reader(session)
    assert isinstance(refused.value.orig, psycopg.errors.ReadOnlySqlTransaction)
    assert isinstance(refused.value, DATABASE_AWAY)
    assert refused.value.connection_invalidated
    engine.dispose()


def test_when_the_replica_takes_the_primarys_place_it_takes_the_writes(pair):
    engine = open_engine(pair.both_url)
    with transaction(engine) as session:
        port = session.execute(text("SELECT inet_server_port()")).scalar_one()
        place = log_place(session)
    assert port == pair.primary.port
    pair.fail_over()
    deadline = time.monotonic() + 20
    while port == pair.primary.port:
        try:
            with transaction(engine) as session:
                a.a_reader(session)
                port = session.execute(text("SELECT inet_server_port()")).scalar_one()
        except exc.DBAPIError:
            assert time.monotonic() < deadline
    assert port == pair.replica.port
    promoted = open_replica(pair.replica.database_url)
    assert promoted.read(place, lambda _: 1) is None, "it is no replica any more"
    assert "this is no streaming replica" in examine(pair).sentence
    engine.dispose()
    promoted.close()
