"""When an alert that has a local time leaves for which reader, in SQL.

The rule itself is `service.domain.pace.local_release`. The database computes no local time: it may
not know a zone that we know. So it gets the moment of each zone, and looks a reader's zone up.
"""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.pace.local_release import LocalRelease

CLOCK = """
clock AS MATERIALIZED (
    SELECT name, release_at FROM unnest(CAST(:zone_names AS text[]),
        CAST(:releases AS timestamptz[])) AS clock (name, release_at)
)"""
"""Each zone with the moment at which the alert leaves there."""

DEVICE_COLUMNS = ", home.timezone AS zone, clock.release_at"
DEVICE_JOINS = """
    JOIN reader home ON home.id = device.reader_id AND home.id >= :lo AND home.id < :hi
    JOIN clock ON clock.name = home.timezone"""
"""What a query of `device` needs for the columns above."""

_ZONES = text("SELECT name FROM time_zone ORDER BY name")


def release_of(reader_id: str) -> str:
    """Return the expression for when the alert leaves for a reader."""
    return (
        "(SELECT clock.release_at FROM reader home JOIN clock ON clock.name = home.timezone "
        f"WHERE home.id = {reader_id})"
    )


def releases(session: Session, local: LocalRelease, starts_at: datetime) -> dict[str, datetime]:
    """Return when the alert leaves in each zone that a reader may have."""
    return local.releases(session.execute(_ZONES).scalars(), starts_at)
