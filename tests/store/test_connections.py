"""What the server knows of our connections: when it may end them and free their locks."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import exc, text

from service.store import session as sessions
from service.store.schema_version import pending
from service.store.session import DATABASE_AWAY, open_engine, transaction
from tests.store.strict_pooler import StrictPooler

LIMITS = {
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
    "TimeZone": "UTC",
    "jit": "off",
}


def show(session, name):
    return session.execute(text(f"SHOW {name}")).scalar_one()


def test_the_server_asks_a_silent_host_and_frees_its_locks_within_seconds(database_url):
    engine = open_engine(database_url, pool_size=1)
    with transaction(engine) as session:
        values = {name: show(session, name) for name in LIMITS}
        silence = [
            int(show(session, f"tcp_keepalives_{name}")) for name in ("idle", "interval", "count")
        ]
        own_patience = show(session, "tcp_user_timeout")
        over_tcp = session.execute(text("SELECT inet_server_port()")).scalar_one() is not None
    engine.dispose()
    assert values == LIMITS
    if over_tcp:
        idle, interval, count = silence
        assert idle + interval * count <= 11
        assert own_patience == "10000"


def test_a_process_that_stands_still_in_a_transaction_loses_its_locks(
    database_url, engine, monkeypatch
):
    monkeypatch.setitem(sessions._SESSION_SETTINGS, "idle_in_transaction_session_timeout", 300)
    frozen = open_engine(database_url, pool_size=1)
    with transaction(engine) as session:
        session.execute(text("INSERT INTO topic (id, path, label) VALUES (1, 'a', 'a')"))
    with frozen.connect() as asleep:
        asleep.execute(text("SELECT * FROM topic WHERE id = 1 FOR UPDATE"))
        started_at = time.monotonic()
        with transaction(engine) as session:
            session.execute(text("UPDATE topic SET label = 'b' WHERE id = 1"))
        assert time.monotonic() - started_at < 5
        with pytest.raises(DATABASE_AWAY):
            asleep.execute(text("SELECT 1"))
    frozen.dispose()


def test_nobody_waits_for_a_lock_for_longer_than_the_limit(database_url, engine, monkeypatch):
    monkeypatch.setitem(sessions._SESSION_SETTINGS, "lock_timeout", 200)
    waiting = open_engine(database_url, pool_size=1)
    with transaction(engine) as holder:
        holder.execute(text("INSERT INTO topic (id, path, label) VALUES (1, 'a', 'a')"))
        with pytest.raises(exc.OperationalError, match="lock timeout"), transaction(waiting) as two:
            two.execute(text("INSERT INTO topic (id, path, label) VALUES (1, 'a', 'a')"))
    waiting.dispose()


@pytest.fixture
def pooler(database_url: str) -> Iterator[StrictPooler]:
    if not urlsplit(database_url).port:
        pytest.skip("the server listens on a unix socket only")
    stand_in = StrictPooler(database_url)
    yield stand_in
    stand_in.close()


def through(pooler: StrictPooler, url: str) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    place = f"{login}@127.0.0.1:{pooler.port}" if login else f"127.0.0.1:{pooler.port}"
    return urlunsplit(parts._replace(netloc=place))


def test_behind_a_transaction_pooler_each_transaction_sets_its_own_limits(pooler, database_url):
    url = through(pooler, database_url)
    assert not pending(url, pooler=True)
    engine = open_engine(url, pool_size=1, pooler=True)
    for _ in range(12):  # psycopg would prepare a statement at its sixth use
        with transaction(engine) as session:
            assert {name: show(session, name) for name in LIMITS} == LIMITS
            session.execute(text("SELECT :n + 1"), {"n": 1})
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw.execute("SHOW statement_timeout").fetchone() == ("0",)
    engine.dispose()
    assert pooler.faults == []


def test_the_stand_in_of_a_pooler_notices_what_a_pooler_refuses(pooler, database_url):
    engine = open_engine(through(pooler, database_url), pool_size=1)
    with pytest.raises(exc.OperationalError):
        engine.connect()
    engine.dispose()
    assert pooler.faults == ["options at the start"]
