"""What waits where and how fast it leaves: the figures of the control room and of Prometheus.

All are counted from the batches when they are asked for, in milliseconds: open batches are few.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState
from service.domain.delivery import State
from service.domain.new_alerts import CANARY
from service.domain.subscription import Urgency
from service.store.sql_fragments import (
    alert_has_not_ended,
    alert_runs,
    batch_is_open,
    count_of,
    due_at,
    leaves_at_once,
)

WINDOW_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The open deliveries of one provider; `oldest_seconds` since the oldest of them was due."""

    name: str
    pending: int = 0
    leased: int = 0
    retrying: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a provider did in the last minute; `error_share` is None when nothing was tried.

    The share is of the deliveries in that minute's batches: those retrying or buried, of those
    that had an answer; `failing` is how many that were.
    """

    name: str
    accepted_per_second: float = 0.0
    error_share: float | None = None
    failing: int = 0


_PENDING, _RETRYING, _ACCEPTED, _GONE, _BURIED = (
    count_of(state, "b")
    for state in (State.PENDING, State.RETRYING, State.ACCEPTED, State.GONE, State.BURIED)
)
_WAITING = f"""
SELECT b.provider,
    coalesce(sum({_PENDING}) FILTER (WHERE NOT lease.runs), 0) AS pending,
    coalesce(sum({_PENDING}) FILTER (WHERE lease.runs), 0) AS leased,
    coalesce(sum({_RETRYING}), 0) AS retrying,
    extract(epoch FROM now() - min(CASE WHEN {leaves_at_once("a")} THEN {due_at("a")}
        ELSE coalesce(b.started_at, b.claimable_at) END)) AS oldest
FROM batch b JOIN alert a ON a.id = b.alert_id,
    LATERAL (SELECT b.lease_token IS NOT NULL AND b.claimable_at > now() AS runs) AS lease
WHERE {batch_is_open("b")} AND {_PENDING} + {_RETRYING} > 0 GROUP BY b.provider
"""


def waiting(session: Session) -> dict[str, Waiting]:
    """Return what waits, by provider. A delivery counts once: pending, leased or retrying."""
    rows = session.execute(text(_WAITING))
    return {
        row.provider: Waiting(
            name=row.provider,
            pending=int(row.pending),
            leased=int(row.leased),
            retrying=int(row.retrying),
            oldest_seconds=max(0.0, round(float(row.oldest), 3)),
        )
        for row in rows
    }


_UNPLANNED = f"""
SELECT extract(epoch FROM now() - min({due_at("a")})) FROM alert a
WHERE {alert_has_not_ended("a")} AND {due_at("a")} <= now()
    AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.alert_id = a.id)
"""


def backlogs(session: Session, providers: Iterable[str]) -> dict[str, Waiting]:
    """Return what waits for each of the providers and for any other that has deliveries.

    While the oldest alert that is due has no delivery yet, all providers wait since it was due.
    """
    by_provider = waiting(session)
    unplanned = session.execute(text(_UNPLANNED)).scalar_one()
    least_s = 0.0 if unplanned is None else round(float(unplanned), 3)
    names = dict.fromkeys((*providers, *sorted(by_provider)))
    all_waiting = (by_provider.get(name, Waiting(name=name)) for name in names)
    return {
        each.name: replace(each, oldest_seconds=max(each.oldest_seconds, least_s))
        for each in all_waiting
    }


_PACE = f"""
SELECT b.provider, coalesce(sum(news.accepted), 0) AS accepted,
    sum({_RETRYING} + {_BURIED}) AS failing,
    sum({_RETRYING} + {_ACCEPTED} + {_GONE} + {_BURIED}) AS answered
FROM alert a JOIN batch b ON b.alert_id = a.id,
    LATERAL (SELECT sum(b.progress[i + 1]) AS accepted
        FROM generate_series(1, cardinality(b.progress), 2) AS i WHERE b.progress[i] >
            1000 * (extract(epoch FROM now() - {due_at("a")}) - :window)) AS news
WHERE ({alert_runs("a")} OR a.finished_at > now() - make_interval(secs => :window))
    AND b.started_at IS NOT NULL
    AND ({batch_is_open("b")} OR b.finished_at > now() - make_interval(secs => :window))
GROUP BY b.provider
"""


def pace(session: Session) -> dict[str, Pace]:
    """Return how each provider did in the last minute, from the batches it touched."""
    rows = session.execute(text(_PACE), {"window": WINDOW_S})
    return {
        row.provider: Pace(
            name=row.provider,
            accepted_per_second=round(int(row.accepted) / WINDOW_S, 2),
            error_share=round(int(row.failing) / int(row.answered), 4) if row.answered else None,
            failing=int(row.failing),
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEnding:
    """How an alert for readers ended."""

    alert_id: int
    title: str
    breaking: bool
    seconds: float
    finished_at: datetime
    planned: int
    accepted: int
    gone: int
    buried: int


_ENDINGS = text(f"""
    SELECT a.id, coalesce(a.title, '') AS title, a.urgency, a.finished_at,
        extract(epoch FROM a.finished_at - {due_at("a")}) AS seconds,
        coalesce(sum((SELECT sum(n) FROM unnest(b.counts) AS n)), 0) AS planned,
        coalesce(sum({_ACCEPTED}), 0) AS accepted,
        coalesce(sum({_GONE}), 0) AS gone, coalesce(sum({_BURIED}), 0) AS buried
    FROM (SELECT * FROM alert WHERE finished_at > :since AND state IN ('finished', 'expired')
        AND settled AND NOT dry_run AND kind NOT IN ('test', 'digest') AND created_at > :oldest
        ORDER BY created_at DESC LIMIT 100) a
    LEFT JOIN batch b ON b.alert_id = a.id
    GROUP BY a.id, a.title, a.urgency, a.finished_at, a.send_at, a.created_at""")


def recent_endings(session: Session, since: datetime) -> list[AlertEnding]:
    """Return the alerts for readers that ended since then by themselves; tests are left out."""
    values = {"since": since, "oldest": since - timedelta(days=29)}
    return [
        AlertEnding(
            alert_id=row.id,
            title=row.title,
            breaking=Urgency.of_rank(row.urgency) is Urgency.BREAKING,
            seconds=float(row.seconds),
            finished_at=row.finished_at,
            planned=int(row.planned),
            accepted=int(row.accepted),
            gone=int(row.gone),
            buried=int(row.buried),
        )
        for row in session.execute(_ENDINGS, values)
    ]


def alerts_by_state(session: Session) -> dict[AlertState, int]:
    """Count the alerts in each state."""
    rows = session.execute(text("SELECT state, count(*) FROM alert GROUP BY state"))
    counts = {AlertState(state): int(n) for state, n in rows}
    return {state: counts.get(state, 0) for state in AlertState}


def database_bytes(session: Session) -> int:
    """Return how much room the database takes on disk."""
    size: int = session.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    return size


def last_canary(session: Session) -> datetime | None:
    """Return when a canary last came through, None for never."""
    finished_at: datetime | None = session.execute(
        text(
            "SELECT max(finished_at) FROM alert "
            "WHERE created_by = :canary AND dry_run AND state = 'finished'"
        ),
        {"canary": CANARY},
    ).scalar_one()
    return finished_at


_PER_MINUTE = text("""
    WITH step AS (
        SELECT b.provider, progress[i + 1] AS accepted,
            floor(extract(epoch FROM CAST(:now AS timestamptz) - coalesce(a.send_at, a.created_at)
                - progress[i] * interval '1 millisecond') / 60)::int AS minutes_ago
        FROM (SELECT id, send_at, created_at FROM alert WHERE created_at > :since
            ORDER BY created_at DESC LIMIT 100) a
        JOIN batch b ON b.alert_id = a.id
        CROSS JOIN LATERAL generate_series(1, cardinality(progress), 2) AS i)
    SELECT minutes_ago, provider, sum(accepted)::bigint AS accepted FROM step
    WHERE minutes_ago BETWEEN 0 AND :last GROUP BY 1, 2""")


def accepted_per_minute(session: Session, now: datetime, minutes: int) -> dict[str, list[int]]:
    """Return how many pushes each provider took in each of the last minutes, the oldest first."""
    values = {"now": now, "since": now - timedelta(minutes=minutes, hours=6), "last": minutes - 1}
    series: dict[str, list[int]] = {}
    for minutes_ago, provider, accepted in session.execute(_PER_MINUTE, values):
        numbers = series.setdefault(str(provider), [0] * minutes)
        numbers[minutes - 1 - minutes_ago] = int(accepted)
    return series


_STRANGERS_WAIT = text(
    f"SELECT EXISTS (SELECT 1 FROM batch b JOIN alert a ON a.id = b.alert_id "
    f"WHERE b.strangers AND {batch_is_open('b')} AND {alert_runs('a')})"
)


def strangers_wait(session: Session) -> bool:
    """Whether pushes to servers that nobody named wait for the worker that sends them."""
    return bool(session.execute(_STRANGERS_WAIT).scalar_one())
