"""The store as commands use it: settings, one transaction, refusals in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from service import provider_door
from service import settings as settings_module
from service.commands.output import Failed
from service.domain.errors import Refusal
from service.settings import Settings, SettingsError
from service.store.session import open_engine, transaction

WHO = "command line"
"""The name in the audit trail for what commands do."""


def settings() -> Settings:
    """Return the settings; raises `Failed` naming the one at fault."""
    try:
        return settings_module.load()
    except SettingsError as error:
        raise Failed(str(error)) from None


def check_settings() -> Settings:
    """Return the settings after checking those of every provider in use."""
    values = settings()
    try:
        provider_door.start_check(values)
    except SettingsError as error:
        raise Failed(str(error)) from None
    return values


@contextmanager
def store() -> Iterator[Engine]:
    """Open the database for a command."""
    values = settings()
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
