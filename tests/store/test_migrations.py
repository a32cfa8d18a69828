"""The migrations build exactly what the schema declares, and only once."""

import os
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import SQLModel

from service.domain.time_zone import canonical_names
from service.store.migrate import compared, migrate
from service.store.schema_version import pending
from service.store.session import open_engine

COLUMNS = """
    SELECT table_name, column_name, udt_name, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = 'public'
"""
INDEXES = """
    SELECT tablename, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname <> 'story_names'
"""  # that one is there where pg_trgm is
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


@pytest.fixture
def empty_database(postgres_server):
    name = f"empty_{os.getpid()}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{postgres_server}/{name}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def catalogue(url: str) -> dict[str, set[tuple]]:
    with psycopg.connect(url) as connection:
        return {
            name: {row for row in connection.execute(query) if row[0] != "alembic_version"}
            for name, query in (("columns", COLUMNS), ("indexes", INDEXES), ("rules", CONSTRAINTS))
        }


def test_the_migrations_build_exactly_the_declared_schema(database_url, empty_database):
    engine = open_engine(empty_database)
    SQLModel.metadata.create_all(engine)
    engine.dispose()
    migrated, declared = catalogue(database_url), catalogue(empty_database)
    for part, rows in declared.items():
        assert migrated[part] == rows


def test_alembic_finds_nothing_to_add(shared_engine):
    options = {"compare_server_default": True, "include_object": compared}
    with shared_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_several_processes_may_migrate_at_once(empty_database):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [empty_database] * 4))
    assert not pending(empty_database)


def test_an_empty_database_has_migrations_pending(empty_database):
    assert pending(empty_database)
    migrate(empty_database)
    assert not pending(empty_database)


def test_a_database_of_the_first_release_keeps_its_rows(empty_database):
    from alembic import command  # noqa: PLC0415

    from service.store import migrate as migrations  # noqa: PLC0415

    engine = open_engine(empty_database)
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0001")
        connection.execute(
            text(
                "INSERT INTO staff (id, email, password_hash, role) VALUES (1, 'a@b.example', 'x', "
                "'editor')"
            )
        )
    assert pending(empty_database)
    migrate(empty_database)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id, reader_id FROM staff")).one() == (1, None)
    engine.dispose()


def test_all_can_be_taken_back(empty_database):
    from alembic import command  # noqa: PLC0415

    from service.store import migrate as migrations  # noqa: PLC0415

    migrate(empty_database)
    engine = open_engine(empty_database)
    with engine.begin() as connection:
        command.downgrade(migrations._config(connection), "base")
    engine.dispose()
    assert catalogue(empty_database)["columns"] == set()


def test_the_arrays_of_a_batch_are_stored_uncompressed(shared_engine):
    with shared_engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT attname, attstorage FROM pg_attribute"
                " WHERE attrelid = 'batch'::regclass AND attname IN ('device_ids', 'states')"
            )
        )
        assert dict(rows.all()) == {"device_ids": "e", "states": "e"}


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET who = 'somebody else'", "DELETE FROM audit", "TRUNCATE audit"]
)
def test_the_audit_trail_cannot_be_changed(engine, change):
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO audit (id, who, verb, what, detail) VALUES (1, 'a', 'b', 'c', '{}')")
        )
    with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
        connection.execute(text(change))


def test_the_zones_of_our_own_data_are_allowed_whatever_the_database_knows(empty_database):
    migrate(empty_database)
    with psycopg.connect(empty_database) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM time_zone")}
    assert names == canonical_names()
