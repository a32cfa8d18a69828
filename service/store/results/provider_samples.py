"""How each app fared, minute by minute: what the charts of Control are drawn from."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.store.operations import gauges

KEEP_DAYS = 8
MINUTES_AGAIN = 3
"""Acceptances of so many minutes are counted again: a batch writes them a moment later."""

_WRITE = text("""
    INSERT INTO provider_sample (minute, provider, accepted, errors, waiting)
    VALUES (:minute, :app, :accepted, :errors, :waiting)
    ON CONFLICT (minute, provider) DO UPDATE SET accepted = excluded.accepted,
        errors = greatest(provider_sample.errors, excluded.errors),
        waiting = greatest(provider_sample.waiting, excluded.waiting)""")
_FORGET = text("DELETE FROM provider_sample WHERE minute < now() - make_interval(days => :keep)")
_READ = text("""
    SELECT date_bin(:width, minute, CAST(:begin AS timestamptz)) AS begin, provider,
        sum(accepted) AS accepted, sum(errors) AS errors, max(waiting) AS waiting
    FROM provider_sample WHERE minute >= :begin GROUP BY 1, 2 ORDER BY 1, 2""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSample:
    """How an app fared from `begin` on: sums, and the most that waited."""

    begin: datetime
    app: str
    accepted: int
    errors: int
    waiting: int


def write_samples(session: Session, now: datetime) -> None:
    """Write the last minutes of each app that has anything to tell."""
    minute = now.replace(second=0, microsecond=0)
    ages = range(MINUTES_AGAIN)
    accepted = gauges.accepted_per_minute(session, minute + timedelta(minutes=1), MINUTES_AGAIN)
    samples = {
        (age, app): {"accepted": numbers[-1 - age], "errors": 0, "waiting": 0}
        for app, numbers in accepted.items()
        for age in ages
    }
    for app, pace in gauges.pace(session).items():
        samples.setdefault((0, app), _zero())["errors"] = pace.failing
    for app, backlog in gauges.waiting(session).items():
        waiting = backlog.pending + backlog.leased + backlog.retrying
        samples.setdefault((0, app), _zero())["waiting"] = waiting
    rows = [
        {"minute": minute - timedelta(minutes=age), "app": app, **figures}
        for (age, app), figures in sorted(samples.items())
        if any(figures.values())
    ]
    if rows:
        session.execute(_WRITE, rows)
    session.execute(_FORGET, {"keep": KEEP_DAYS})


def samples_since(session: Session, begin: datetime, width: timedelta) -> list[ProviderSample]:
    """Return how the apps fared from `begin` on, in steps of `width`, the oldest first."""
    return [
        ProviderSample(
            begin=row.begin,
            app=row.provider,
            accepted=int(row.accepted),
            errors=int(row.errors),
            waiting=int(row.waiting),
        )
        for row in session.execute(_READ, {"begin": begin, "width": width})
    ]


def _zero() -> dict[str, int]:
    return {"accepted": 0, "errors": 0, "waiting": 0}
