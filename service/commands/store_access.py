"""The store as commands use it: one transaction, refusals in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from service.commands.output import Failed
from service.commands.settings import read_settings
from service.domain.errors import Refusal
from service.store.session import open_engine, transaction

WHO = "command line"
"""The name in the audit trail for what commands do."""


@contextmanager
def store() -> Iterator[Engine]:
    """Open the database for a command."""
    values = read_settings()
    engine = open_engine(
        values.database_url, pool_size=2, name="newszop command", pooler=values.db_pooler
    )
    try:
        yield engine
    except Refusal as refusal:
        raise Failed(refusal.detail) from None
    except OperationalError as error:
        raise Failed(f"DATABASE_URL: {str(error.orig).splitlines()[0]}") from None
    finally:
        engine.dispose()


@contextmanager
def one_transaction() -> Iterator[Session]:
    """Open the command's one transaction; it commits at the end."""
    with store() as engine, transaction(engine) as session:
        yield session
