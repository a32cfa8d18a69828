"""What every test may ask for: a real PostgreSQL and a real Redis, clean for each test."""

import gc
import os
from collections.abc import Iterator

import argon2
import psycopg
import pytest
import redis
import structlog
from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel

from service.demo.servers import EmbeddedServers, run_temporarily
from service.store import schema  # noqa: F401 - declares the tables
from service.store.migrate import migrate
from service.store.session import open_engine, transaction
from service.store.staff import accounts
from tests.credentials import provider_environment
from tests.forked_processes import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_runtestloop,
)
from tests.rewritten_ahead import await_rewriting, begin_rewriting
from tests.shared_postgres import SHARED

__all__ = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_runtestloop"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let other processes begin with what they can do while this one collects."""
    if session.config.getoption("processes") > 1 and not session.config.option.collectonly:
        if "NEWSZOP_TEST_POSTGRES" not in os.environ:
            SHARED.begin()
        begin_rewriting(session.config)


def pytest_collection_finish() -> None:
    """Keep what was collected out of the garbage collector's walks: it stays to the end."""
    await_rewriting()
    SHARED.await_start()
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    SHARED.end()


def worker_number(config: pytest.Config) -> int:
    """Which of several test processes this is; 0 when it is alone."""
    own = getattr(config, "workerinput", {"workerid": "gw0"})
    return int(own["workerid"].removeprefix("gw"))


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Hash passwords in this process at the least cost; what they are worth is argon2's matter."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(accounts, "_passwords", cheap)
        yield


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """Write an unexpected error as our processes do; structlog's own way takes seconds for each."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture(scope="session")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the settings of all providers; their keys are made, and read, once a process."""
    return provider_environment(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def _embedded() -> Iterator[EmbeddedServers | None]:
    """Servers of this test process's own, unless the environment names both.

    PostgreSQL is not among them where one is shared.
    """
    if {"NEWSZOP_TEST_POSTGRES", "NEWSZOP_TEST_REDIS"} <= os.environ.keys():
        yield None
        return
    with run_temporarily(without={"postgres"} if SHARED.url else ()) as servers:
        yield servers


@pytest.fixture(scope="session")
def postgres_server(_embedded: EmbeddedServers | None) -> str:
    """URL of a server (no database name) with a superuser; embedded unless one is given."""
    given = os.environ.get("NEWSZOP_TEST_POSTGRES") or SHARED.url
    return given if given or _embedded is None else _embedded.postgres.server_url


@pytest.fixture(scope="session")
def redis_server(_embedded: EmbeddedServers | None, request: pytest.FixtureRequest) -> str:
    """URL of a Redis database of this test process's own; workers count up from a given one."""
    given = os.environ.get("NEWSZOP_TEST_REDIS")
    if not given:
        return _embedded.redis_url if _embedded else ""
    server, _, number = given.rpartition("/")
    return f"{server}/{int(number) + worker_number(request.config)}"


@pytest.fixture(scope="session")
def database_url(postgres_server: str) -> Iterator[str]:
    """A migrated database of this test process's own."""
    name = f"test_{os.getpid()}"
    if SHARED.url:
        yield SHARED.create_database(name)
    else:
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        migrate(f"{postgres_server}/{name}")
        yield f"{postgres_server}/{name}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(shared_engine: Engine) -> Iterator[Engine]:
    """An engine on a database whose tables are empty after the test."""
    yield shared_engine
    kept = {"time_zone"}
    names = [t.name for t in SQLModel.metadata.sorted_tables if t.name not in kept]
    with shared_engine.begin() as connection:
        # no triggers, or the audit trail refuses; a DELETE of little is faster than a TRUNCATE
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("; ".join(f"DELETE FROM {name}" for name in names)))


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """An open transaction, committed when the test ends well."""
    with transaction(engine) as opened:
        yield opened


@pytest.fixture(scope="session")
def redis_client(redis_server: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: str, redis_client: redis.Redis) -> str:
    """A Redis database, empty before the test."""
    redis_client.flushdb()
    return redis_server
