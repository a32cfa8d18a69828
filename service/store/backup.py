"""A backup of the whole database as one file, and its restoration; PostgreSQL's own format.

The file is a ZIP archive: `backup.json` names the schema's revision and the moment, `tables/NAME`
has each table's columns on its first line and then its rows as COPY writes them. All rows are of
one moment. No program of PostgreSQL is needed, and any newer server and schema can take it in.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Engine
from sqlmodel import Session

from service.store import migrate, schema_version
from service.store.alerts import restored_alerts
from service.store.operations import pauses

FORMAT = 1
MANIFEST = "backup.json"
CHUNK = 1 << 20
ADDRESSES = (
    "device",
    "reader",
    "reader_login",
    "last_digest",
    "subscription",
    "receipt",
    "follow_up",
)
"""The tables that say who the readers are and where they can be reached."""
STAFF_READER = "staff.reader_id"
"""A member of staff may be tied to a reader."""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
_PARENTS = """
SELECT c.relname AS child, p.relname AS parent FROM pg_constraint
JOIN pg_class c ON c.oid = conrelid JOIN pg_class p ON p.oid = confrelid
WHERE contype = 'f' AND c.oid <> p.oid AND connamespace = current_schema()::regnamespace
"""
_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0
AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
VERSIONS = "alembic_version"


class NotABackup(Exception):
    """The file cannot be restored here; the message says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of: the schema's revision, the moment, and the rows of each table."""

    revision: str
    taken_at: datetime
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Restoration:
    """What was restored, and how many alerts wait for a person's decision."""

    manifest: Manifest
    undecided_alerts: int


def write_backup(
    engine: Engine, path: Path, *, addresses: bool = True, report: Callable[[str], None]
) -> Manifest:
    """Write all rows, as they are at one moment, to a new file; the system may run meanwhile.

    Without `addresses` the tables of the readers are left out.
    """
    with _raw_transaction(engine) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        taken_at, revision = _read_moment(connection)
        rows: dict[str, int] = {}
        path.touch(mode=0o600, exist_ok=False)  # nobody else reads the addresses, now or later
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for table in _ordered_tables(connection):
                if addresses or table not in ADDRESSES:
                    rows[table] = _write_table(connection, archive, table, addresses=addresses)
                    report(f"{table}: {rows[table]:,} rows")
            manifest = {"format": FORMAT, "revision": revision, "taken_at": taken_at.isoformat()}
            archive.writestr(MANIFEST, json.dumps(manifest | {"rows": rows}))
    return Manifest(revision, taken_at, rows)


def read_manifest(path: Path) -> Manifest:
    """Return what a backup is of; raises `NotABackup`."""
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read(MANIFEST))
        manifest = Manifest(
            values["revision"], datetime.fromisoformat(values["taken_at"]), values["rows"]
        )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NotABackup(f"{path} is not a whole backup ({type(error).__name__})") from None
    if values["format"] != FORMAT or not schema_version.is_known(manifest.revision):
        raise NotABackup(f"{path} was written by a newer release than this one")
    return manifest


def restore_backup(engine: Engine, path: Path, *, by: str) -> Restoration:
    """Put a backup in the place of everything that is there, in one transaction.

    All sending is paused then, and alerts that had not ended wait for a person: since the backup
    was taken they may have gone out.
    """
    manifest = read_manifest(path)
    with engine.connect() as connection, connection.begin():
        raw: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # it is psycopg's
        _lift_limits(raw)
        raw.execute("DROP SCHEMA public CASCADE")
        raw.execute("CREATE SCHEMA public")
        migrate.upgrade(connection, manifest.revision)
        raw.execute("DELETE FROM time_zone")
        with zipfile.ZipFile(path) as archive:
            for table in manifest.rows:
                if table != VERSIONS:
                    _read_table(raw, archive, table)
        migrate.upgrade(connection, "head")
        migrate.fill_time_zones(connection)
        with Session(connection) as session:
            undecided = restored_alerts.mark_unfinished(session)
            reason = f"A backup of {manifest.taken_at:%d %B %Y, %H:%M} UTC was restored."
            pauses.pause(session, reason, by)
            session.flush()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return Restoration(manifest, undecided)


@contextmanager
def _raw_transaction(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """Open a transaction that reads."""
    pooled = engine.raw_connection()
    try:
        yield pooled.driver_connection  # type: ignore[misc]  # it is psycopg's
    finally:
        pooled.rollback()
        pooled.close()


def _lift_limits(connection: psycopg.Connection[Any]) -> None:
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(sql.SQL("SET LOCAL {} = 0").format(sql.Identifier(name)))


def _read_moment(connection: psycopg.Connection[Any]) -> tuple[datetime, str]:
    _lift_limits(connection)
    row = connection.execute(f"SELECT now(), version_num FROM {VERSIONS}").fetchone()
    if row is None:
        raise NotABackup("The database has no schema: run newszop migrate.")
    return row[0], row[1]


def _ordered_tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the tables, those that others refer to first."""
    waiting = [name for (name,) in connection.execute(_TABLES)]
    parents: dict[str, set[str]] = {name: set() for name in waiting}
    for child, parent in connection.execute(_PARENTS):
        parents[child].add(parent)
    order: list[str] = []
    while waiting:
        ready = [name for name in waiting if parents[name] <= set(order)]
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return order


def _write_table(
    connection: psycopg.Connection[Any], archive: zipfile.ZipFile, table: str, *, addresses: bool
) -> int:
    columns = [name for (name,) in connection.execute(_COLUMNS, (table,))]
    if not addresses:
        columns = [name for name in columns if f"{table}.{name}" != STAFF_READER]
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with (
        archive.open(f"tables/{table}", "w", force_zip64=True) as file,
        connection.cursor() as all_,
    ):
        file.write(("\t".join(columns) + "\n").encode())
        with all_.copy(statement) as copy:
            for block in copy:
                file.write(block)
        return all_.rowcount


def _read_table(connection: psycopg.Connection[Any], archive: zipfile.ZipFile, table: str) -> None:
    with archive.open(f"tables/{table}") as file, connection.cursor() as all_:
        columns = file.readline().decode().rstrip("\n").split("\t")
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with all_.copy(statement) as copy:
            for block in iter(lambda: file.read(CHUNK), b""):
                copy.write(block)
