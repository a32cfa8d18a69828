"""Providers that have accepted nothing for a minute while deliveries wait for them, and why."""

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import State
from service.store.sql_fragments import alert_runs, batch_is_open, count_of

PATIENCE_S = 60
BATCHES = 20
"""The reasons of so many batches of a provider are counted: they speak for the others."""

_CAUSES = text(f"""
WITH tried AS (
    SELECT b.provider, b.alert_id, b.shard_n, b.n,
        row_number() OVER (PARTITION BY b.provider ORDER BY b.claimable_at DESC) AS place
    FROM batch b JOIN alert a ON a.id = b.alert_id
    WHERE {alert_runs("a")} AND {batch_is_open("b")} AND {count_of(State.RETRYING, "b")} > 0
    AND b.started_at < now() - make_interval(secs => :patience)
), reason AS (
    SELECT provider, coalesce(why, '') AS why, count(*) AS votes
    FROM tried LEFT JOIN retry USING (alert_id, shard_n, n)
    WHERE place <= :batches GROUP BY 1, 2
)
SELECT DISTINCT ON (provider) provider, why FROM reason
ORDER BY provider, why = '', votes DESC""")


def causes(session: Session) -> dict[str, str]:
    """Return the most frequent reason of each provider whose deliveries are retried for a minute.

    Whether the provider accepts others meanwhile is the caller's to ask. The reason is empty where
    none is on record yet.
    """
    values = {"patience": PATIENCE_S, "batches": BATCHES}
    return {row.provider: row.why for row in session.execute(_CAUSES, values)}
