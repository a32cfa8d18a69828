"""What every test may ask for: a real PostgreSQL and a real Redis, clean for each test."""

import os
from collections.abc import Iterator

import psycopg
import pytest
import redis
from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel

from service.store import schema  # noqa: F401 - declares the tables
from service.store.migrate import migrate
from service.store.session import open_engine, transaction


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server (no database name) with a superuser; embedded unless one is given."""
    yield os.environ["NEWSZOP_TEST_POSTGRES"]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    yield os.environ["NEWSZOP_TEST_REDIS"]


@pytest.fixture(scope="session")
def database_url(postgres_server: str) -> Iterator[str]:
    """A migrated database of this test process's own."""
    name = f"test_{os.getpid()}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"{postgres_server}/{name}"
    migrate(url)
    yield url
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
    names = ", ".join(t.name for t in SQLModel.metadata.sorted_tables if t.name not in kept)
    with shared_engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names}"))


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """An open transaction, committed when the test ends well."""
    with transaction(engine) as opened:
        yield opened


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """A Redis database, empty before the test."""
    redis.Redis.from_url(redis_server).flushdb()
    yield redis_server
