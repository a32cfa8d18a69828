"""Providers whose pushes are tried in vain: why, and since when."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import State
from service.store.sql_fragments import alert_runs, batch_is_open, count_of

BATCHES = 20
"""The reasons of so many batches of a provider are counted: they speak for the others."""

_CAUSES = text(f"""
WITH tried AS (
    SELECT b.provider, b.started_at, b.alert_id, b.shard_n, b.n,
        row_number() OVER (PARTITION BY b.provider ORDER BY b.claimable_at DESC) AS place
    FROM batch b JOIN alert a ON a.id = b.alert_id
    WHERE {alert_runs("a")} AND {batch_is_open("b")} AND {count_of(State.RETRYING, "b")} > 0
), reason AS (
    SELECT provider, coalesce(why, '') AS why, count(*) AS votes,
        coalesce(min(started_at), now()) AS since
    FROM tried LEFT JOIN retry USING (alert_id, shard_n, n)
    WHERE place <= :batches GROUP BY 1, 2
)
SELECT DISTINCT ON (provider) provider, why,
    min(since) OVER (PARTITION BY provider) AS since FROM reason
ORDER BY provider, why = '', votes DESC""")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingPushes:
    """The most frequent reason of pushes that are tried again; empty where none is on record."""

    reason: str
    since: datetime


def failing_pushes(session: Session) -> dict[str, FailingPushes]:
    """Return, by provider, why deliveries are retried now and since when the first of them are.

    Whether the provider accepts others meanwhile is the caller's to ask.
    """
    rows = session.execute(_CAUSES, {"batches": BATCHES})
    return {row.provider: FailingPushes(reason=row.why, since=row.since) for row in rows}
