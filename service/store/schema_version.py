"""Which schema a database has, and whether it is this release's.

It looks at the names of the migrations, `NNNN_what.py`, and loads neither them nor alembic: every
service asks at each readiness check.
"""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from service.store.session import open_engine

MIGRATIONS = Path(__file__).with_name("migrations")


@cache
def revisions() -> tuple[str, ...]:
    """Return this release's revisions, the newest last."""
    return tuple(sorted(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")))


def is_known(revision: str) -> bool:
    """Whether a revision is one of this release's."""
    return revision in revisions()


def is_present(connection: Connection) -> bool:
    """Whether the database has exactly this release's schema."""
    return _recorded(connection) == revisions()[-1:]


def is_newer(connection: Connection) -> bool:
    """Whether the database bears a revision that this release does not know."""
    return not all(map(is_known, _recorded(connection)))


def pending(database: Engine | str, *, pooler: bool = False) -> bool:
    """Tell whether a migration is still to be carried out; raises when Postgres is away.

    A newer schema is none: every release adds to the schema of the one before, which goes on
    beside it while processes are replaced one by one.
    """
    engine = (
        open_engine(database, pool_size=1, pooler=pooler) if isinstance(database, str) else database
    )
    try:
        with engine.connect() as connection:
            return not is_present(connection) and not is_newer(connection)
    finally:
        if isinstance(database, str):
            engine.dispose()


def _recorded(connection: Connection) -> tuple[str, ...]:
    """Return the revision in alembic's table; none in a database that was never migrated."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return ()
    return tuple(connection.scalars(text("SELECT version_num FROM alembic_version")))
