"""Bring a database to the present schema."""

from zoneinfo import available_timezones

from sqlalchemy import text
from sqlmodel import SQLModel

from service.store import schema
from service.store.session import open_engine


def migrate(url: str) -> None:
    """Create what is missing; safe to run again and from several processes at once."""
    engine = open_engine(url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(7239)"))
        SQLModel.metadata.create_all(connection)
        connection.execute(
            text(
                "INSERT INTO time_zone SELECT name FROM pg_timezone_names "
                "WHERE name = ANY(:names) ON CONFLICT DO NOTHING"
            ),
            {"names": sorted(available_timezones())},
        )
    engine.dispose()


__all__ = ["migrate", "schema"]
