"""Bring a database to the present schema; `schema_version` tells whether it is there.

The steps stand in `migrations/versions`; together they build exactly what `schema` declares.
"""

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from service.domain.time_zone import canonical_names
from service.store import schema_version
from service.store.schema.story_tables import STORY_NAMES
from service.store.session import open_engine

log = structlog.get_logger()

MISREAD = frozenset({"topic_tree", "story_words", "story_stems", "story_names"})
"""Indexes that alembic cannot compare: by the collation of a column, by an expression."""
DDL_LOCK_TIMEOUT_S = 30
"""A change of a table waits so long for those who use it; while it waits, new ones wait behind."""
LOCK = 7239
"""The advisory lock's number: the process that migrates holds it, and a second one waits."""


def migrate(url: str, *, pooler: bool = False) -> None:
    """Carry out what is missing; safe to run again and from several processes at once.

    A database that a newer release has migrated is left as it is.
    """
    engine = open_engine(url, pool_size=1, name="newszop migrate", pooler=pooler)
    try:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{DDL_LOCK_TIMEOUT_S}s'"))
            if not schema_version.is_newer(connection):
                upgrade(connection, "head")
            fill_time_zones(connection)
            index_names(connection)
    finally:
        engine.dispose()


def upgrade(connection: Connection, revision: str) -> None:
    """Carry out the steps up to a revision, or `head`, in the connection's transaction."""
    command.upgrade(_config(connection), revision)


def compared(_item: object, name: str | None, kind: str, *_: object) -> bool:
    """Tell alembic what to compare with the schema when it looks for a migration to write."""
    return kind != "index" or name not in MISREAD


def fill_time_zones(connection: Connection) -> None:
    """Allow the zones of our own data; what a reader has stays, whatever the database knows."""
    connection.execute(
        text("INSERT INTO time_zone SELECT unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING"),
        {"names": sorted(canonical_names())},
    )


def index_names(connection: Connection) -> None:
    """Let names be found that are typed wrongly, where PostgreSQL has its extension `pg_trgm`.

    It comes with most packages of PostgreSQL, and its owner may add it to a database. Where it is
    not there, words are found as they are written, and the next call tries again.
    """
    is_indexed = connection.scalar(text("SELECT to_regclass('story_names') IS NOT NULL"))
    if is_indexed or not schema_version.is_present(connection):
        return
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            names = f"CREATE INDEX story_names ON story USING gin (({STORY_NAMES}) gin_trgm_ops)"
            connection.execute(text(names))
            connection.execute(text("ALTER INDEX story_names ALTER COLUMN 1 SET STATISTICS 0"))
    except DBAPIError as fault:
        log.info("names typed wrongly are not found", reason=str(fault.orig).splitlines()[0])


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(schema_version.MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
