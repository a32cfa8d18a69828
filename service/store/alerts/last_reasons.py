"""Why deliveries of an alert were tried in vain: the last reason that is on record, by provider."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import State
from service.store.sql_fragments import count_of

BATCHES = 20
"""The reasons of so many batches of a provider are counted: they speak for the others."""

_IN_VAIN = " + ".join(
    count_of(state, "b") for state in (State.RETRYING, State.EXPIRED, State.CANCELLED)
)
_REASONS = text(f"""
WITH tried AS (
    SELECT b.alert_id, b.provider, b.shard_n, b.n,
        row_number() OVER (PARTITION BY b.alert_id, b.provider ORDER BY b.shard_n, b.n) AS place
    FROM batch b WHERE b.alert_id = ANY(:ids) AND b.started_at IS NOT NULL AND {_IN_VAIN} > 0
), reason AS (
    SELECT alert_id, provider, why, count(*) AS votes
    FROM tried JOIN retry USING (alert_id, shard_n, n)
    WHERE place <= :batches AND why <> '' GROUP BY 1, 2, 3
)
SELECT DISTINCT ON (alert_id, provider) alert_id, provider, why FROM reason
ORDER BY alert_id, provider, votes DESC, why""")


def last_reasons(session: Session, alert_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """Return by alert and provider the most frequent last reason of what was tried in vain.

    That is what waits for another attempt, and what expired or was cancelled after one.
    """
    reasons: dict[int, dict[str, str]] = defaultdict(dict)
    if alert_ids:
        values = {"ids": list(alert_ids), "batches": BATCHES}
        for alert_id, provider, why in session.execute(_REASONS, values):
            reasons[alert_id][provider] = why
    return dict(reasons)
