"""The table `hold`: providers we have stopped using until a person or a probe clears them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import queue_of
from service.domain.subscription import Urgency
from service.store.sql_fragments import EVERY_PROVIDER, alert_runs, batch_is_open, waits_for_release

WORKER = "worker"
"""Who holds when no person does: such a hold is probed, a person's is not."""
PROBE_EVERY = "30 s"
MOST_WOKEN = 500
"""Alerts told at once that a provider is back; the sweep finds the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why a provider is not used, since when and by whom."""

    reason: str
    since: datetime
    held_by: str


def held(session: Session) -> dict[str, Hold]:
    """Return the holds by the provider's name; a pause of all is none of them."""
    rows = session.execute(
        text("SELECT provider, reason, since, held_by FROM hold WHERE provider <> :every"),
        {"every": EVERY_PROVIDER},
    )
    return {
        row.provider: Hold(reason=row.reason, since=row.since, held_by=row.held_by) for row in rows
    }


def hold(session: Session, provider: str, reason: str, by: str) -> None:
    """Stop using a provider. A person's hold is not overwritten by a worker's."""
    session.execute(
        text(
            "INSERT INTO hold (provider, reason, held_by, since, probe_at) "
            "VALUES (:provider, :reason, :by, now(), "
            "CASE WHEN :by = :worker THEN now() + CAST(:every AS interval) END) "
            "ON CONFLICT (provider) DO UPDATE SET reason = excluded.reason, "
            "held_by = excluded.held_by, probe_at = excluded.probe_at "
            "WHERE hold.held_by = :worker OR excluded.held_by <> :worker"
        ),
        {
            "provider": provider,
            "reason": reason,
            "by": by,
            "worker": WORKER,
            "every": PROBE_EVERY,
        },
    )


def release(session: Session, provider: str, *, by_probe: bool = False) -> bool:
    """End a hold; false when there was none. A probe ends a worker's hold, never a person's."""
    result = session.execute(
        text(
            "DELETE FROM hold WHERE provider = :provider "
            "AND (NOT :by_probe OR held_by = :worker) RETURNING 1"
        ),
        {"provider": provider, "by_probe": by_probe, "worker": WORKER},
    )
    return result.one_or_none() is not None


def take_probe(session: Session, provider: str) -> bool:
    """Whether the caller is the one who may try the provider now: once in 30 s, one of all."""
    result = session.execute(
        text(
            "UPDATE hold SET probe_at = now() + CAST(:every AS interval) WHERE provider IN ("
            "SELECT provider FROM hold WHERE provider = :provider AND probe_at <= now() "
            "AND NOT EXISTS (SELECT 1 FROM hold WHERE provider = :all) "
            "FOR UPDATE SKIP LOCKED) RETURNING 1"
        ),
        {"provider": provider, "every": PROBE_EVERY, "all": EVERY_PROVIDER},
    )
    return result.one_or_none() is not None


def wake(session: Session, provider: str) -> list[tuple[int, str]]:
    """Let waiting batches of a provider be claimed now; return their running alerts and queues.

    What an alert has not released yet stays as it is.
    """
    session.execute(
        text(
            f"UPDATE batch SET claimable_at = now() WHERE {batch_is_open()} "
            "AND provider = :provider AND lease_token IS NULL AND claimable_at > now() "
            f"AND NOT {waits_for_release()}"
        ),
        {"provider": provider},
    )
    rows = session.execute(
        text(
            f"SELECT a.id, a.urgency FROM alert a WHERE {alert_runs('a')} "
            "AND EXISTS (SELECT 1 FROM batch b WHERE b.alert_id = a.id "
            f"AND {batch_is_open('b')} AND b.provider = :provider) "
            "ORDER BY a.urgency DESC, a.created_at LIMIT :most"
        ),
        {"provider": provider, "most": MOST_WOKEN},
    )
    return [(alert_id, queue_of(Urgency.of_rank(rank))) for alert_id, rank in rows]
