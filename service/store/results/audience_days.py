"""The audience over time: a row a day and app, which the sweep brings up to date each hour."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.device import EVICTED, MOVED, REMOVED, REPLACED

KEEP_DAYS = 800

_LOSSES = """count(*) FILTER (WHERE gone_why = :removed) AS removals,
    count(*) FILTER (WHERE gone_why <> ALL(:no_departure)) AS gone"""
_WRITE = text(f"""
    WITH today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day), lost AS MATERIALIZED (
        SELECT (gone_at AT TIME ZONE 'UTC')::date AS day, provider, {_LOSSES} FROM device
        WHERE gone_at >= (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '1 day')
            AT TIME ZONE 'UTC' GROUP BY 1, 2),
    live AS MATERIALIZED (
        SELECT provider, count(*) AS devices FROM device WHERE gone_at IS NULL GROUP BY 1),
    yesterday AS (
        UPDATE audience_day AS old SET removals = lost.removals, gone = lost.gone FROM lost, today
        WHERE old.day = today.day - 1 AND lost.day = old.day AND lost.provider = old.provider)
    INSERT INTO audience_day (day, provider, devices, removals, gone)
    SELECT today.day, provider, coalesce(devices, 0), coalesce(removals, 0), coalesce(gone, 0)
    FROM live FULL JOIN (SELECT lost.* FROM lost JOIN today USING (day)) AS lost USING (provider)
    CROSS JOIN today
    ON CONFLICT (day, provider) DO UPDATE SET devices = excluded.devices,
        removals = excluded.removals, gone = excluded.gone""")
_FORGET = text("DELETE FROM audience_day WHERE day < now()::date - CAST(:keep AS int)")
_DAILY = text("""
    SELECT coalesce(sum(removals)::float / nullif(sum(devices), 0), 0) AS removals,
        coalesce(sum(gone)::float / nullif(sum(devices), 0), 0) AS gone
    FROM audience_day WHERE day >= :begin AND day < :end""")
_PAGE = text("""
    WITH first AS (SELECT min(day) AS day,
        (SELECT (min(created_at) AT TIME ZONE 'UTC')::date FROM staff) AS installed
        FROM audience_day)
    SELECT * FROM (
        SELECT a.day, provider, devices, removals, gone, devices + removals + gone - coalesce(
            lag(devices) OVER (PARTITION BY provider ORDER BY a.day),
            CASE WHEN a.day > first.day OR a.day <= first.installed THEN 0 END) AS new
        FROM audience_day a CROSS JOIN first) known
    WHERE day >= :begin ORDER BY day, provider""")
"""Before its first row an app had no devices, unless the installation is older than all rows."""


@dataclass(frozen=True, slots=True)
class DailyLosses:
    """Which share of all devices goes in a day: turned off by their readers, or dead."""

    removals: float
    gone: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceDay:
    """An app's live devices at the end of a day; `new` is None where it is not known.

    New is by how many the total grew beside what was lost.
    """

    day: date
    app: str
    devices: int
    new: int | None
    removals: int
    gone: int


def write_audience_day(session: Session) -> None:
    """Write today's row of each app as it stands, and what yesterday lost to its end."""
    no_departure = [REMOVED, MOVED, REPLACED, EVICTED]
    session.execute(_WRITE, {"removed": REMOVED, "no_departure": no_departure})
    session.execute(_FORGET, {"keep": KEEP_DAYS})


def daily_losses(session: Session, begin: datetime, end: datetime) -> DailyLosses:
    """Return the share of devices that a day took away, on average over these days."""
    row = session.execute(_DAILY, {"begin": begin.date(), "end": end.date()}).one()
    return DailyLosses(removals=row.removals, gone=row.gone)


def audience_since(session: Session, begin: date) -> list[AudienceDay]:
    """Return the days from `begin` on, the oldest first."""
    return [
        AudienceDay(
            day=row.day,
            app=row.provider,
            devices=row.devices,
            new=None if row.new is None else max(row.new, 0),
            removals=row.removals,
            gone=row.gone,
        )
        for row in session.execute(_PAGE, {"begin": begin})
    ]
