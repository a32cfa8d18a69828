"""What waits where and how fast it leaves: the figures of the control room and of Prometheus.

All are counted from the ledger when they are asked for, in milliseconds: open batches are few.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState
from service.store.alerts.alerts import CANARY

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
    that had an answer.
    """

    name: str
    accepted_per_second: float = 0.0
    error_share: float | None = None


def waiting(session: Session) -> dict[str, Waiting]:
    """Return what waits, by provider. A delivery counts once: pending, leased or retrying."""
    rows = session.execute(
        text(
            "SELECT b.provider, "
            "coalesce(sum(b.counts[1]) FILTER (WHERE NOT held.by_worker), 0) AS pending, "
            "coalesce(sum(b.counts[1]) FILTER (WHERE held.by_worker), 0) AS leased, "
            "coalesce(sum(b.counts[2]), 0) AS retrying, "
            "extract(epoch FROM now() - min(coalesce(a.send_at, a.created_at))) AS oldest "
            "FROM batch b JOIN alert a ON a.id = b.alert_id, "
            "LATERAL (SELECT b.lease_token IS NOT NULL AND b.claimable_at > now() AS by_worker) "
            "AS held "
            "WHERE b.finished_at IS NULL AND b.counts[1] + b.counts[2] > 0 GROUP BY b.provider"
        )
    )
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


def pace(session: Session) -> dict[str, Pace]:
    """Return how each provider did in the last minute, from the batches it touched."""
    rows = session.execute(
        text(
            "SELECT b.provider, coalesce(sum(news.accepted), 0) AS accepted, "
            "sum(b.counts[2] + b.counts[6]) AS failing, "
            "sum(b.counts[2] + b.counts[3] + b.counts[4] + b.counts[6]) AS answered "
            "FROM alert a JOIN batch b ON b.alert_id = a.id, "
            "LATERAL (SELECT sum(b.progress[i + 1]) AS accepted "
            "FROM generate_series(1, cardinality(b.progress), 2) AS i WHERE b.progress[i] > "
            "1000 * (extract(epoch FROM now() - coalesce(a.send_at, a.created_at)) - :window)) "
            "AS news "
            "WHERE (a.state IN ('planning', 'sending') "
            "OR a.finished_at > now() - make_interval(secs => :window)) "
            "AND b.started_at IS NOT NULL AND (b.finished_at IS NULL "
            "OR b.finished_at > now() - make_interval(secs => :window)) GROUP BY b.provider"
        ),
        {"window": WINDOW_S},
    )
    return {
        row.provider: Pace(
            name=row.provider,
            accepted_per_second=round(int(row.accepted) / WINDOW_S, 2),
            error_share=round(int(row.failing) / int(row.answered), 4) if row.answered else None,
        )
        for row in rows
    }


def alerts_by_state(session: Session) -> dict[AlertState, int]:
    """Count the alerts in each state."""
    rows = session.execute(text("SELECT state, count(*) FROM alert GROUP BY state"))
    counted = {AlertState(state): int(n) for state, n in rows}
    return {state: counted.get(state, 0) for state in AlertState}


def last_canary(session: Session) -> datetime | None:
    """Return when a canary last came through, None for never."""
    found: datetime | None = session.execute(
        text(
            "SELECT max(finished_at) FROM alert "
            "WHERE created_by = :canary AND dry_run AND state = 'finished'"
        ),
        {"canary": CANARY},
    ).scalar_one()
    return found
