"""How many devices opened the latest alerts, of those that got them."""

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import State
from service.store.sql_fragments import count_of

LATEST_ALERTS = 5
SHARDS = 20
"""Ids are random, so the first shards of an alert speak for the others."""
LEAST_DEVICES = 1000
"""Fewer say nothing about a share."""

_SHARE = text(f"""
WITH latest AS (
    SELECT id FROM alert
    WHERE state = 'finished' AND NOT dry_run AND kind IN ('first', 'update')
        AND source_alert_id IS NULL
        AND finished_at BETWEEN now() - interval '30 days' AND now() - interval '10 min'
    ORDER BY created_at DESC, id DESC LIMIT :latest
)
SELECT coalesce(sum({count_of(State.ACCEPTED, "b")}), 0) AS accepted,
    coalesce(sum(bit_count(substring(r.marks FROM length(r.marks) / 2 + 1))), 0) AS opened
FROM batch b LEFT JOIN receipt r USING (alert_id, shard_n, n)
WHERE b.alert_id IN (SELECT id FROM latest) AND b.results AND b.shard_n >= 0 AND b.shard_n < :shards
""")


def latest_open_share(session: Session) -> float | None:
    """Return the share of devices that opened the latest alerts; None where too few got any.

    Devices of readers who do not let us count what they open are left out.
    """
    row = session.execute(_SHARE, {"latest": LATEST_ALERTS, "shards": SHARDS}).one()
    return None if row.accepted < LEAST_DEVICES else float(row.opened / row.accepted)
