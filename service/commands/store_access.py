"""Where commands meet the store: settings read, one transaction, refusals told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from service import provider_door
from service import settings as knobs
from service.commands.output import Failed
from service.domain.errors import Refusal
from service.settings import Settings, SettingsError
from service.store.session import open_engine, transaction

WHO = "command line"
"""Whose name the audit trail keeps for what is done here."""


def settings() -> Settings:
    """Return the settings; raises `Failed` naming the one at fault."""
    try:
        return knobs.load()
    except SettingsError as error:
        raise Failed(str(error)) from None


def checked_settings() -> Settings:
    """Return the settings when those of every provider in use are sound too."""
    found = settings()
    try:
        provider_door.start_check(found)
    except SettingsError as error:
        raise Failed(str(error)) from None
    return found


@contextmanager
def store() -> Iterator[Engine]:
    """Open the database for a command."""
    engine = open_engine(settings().database_url, pool_size=2, name="newszop command")
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
