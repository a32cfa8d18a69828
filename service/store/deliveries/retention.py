"""What is kept how long: a delivery's own state for some months, its alert's totals for ever."""

from sqlalchemy import text
from sqlmodel import Session

from service.store.alerts.left_out import SUMS
from service.store.sql_fragments import sums_of_counts

SUMMARY_SHARD = -1
"""The number of the shard that holds what an old alert left out, and of the batches that hold its
totals, one or two for each provider: of readers who share results, and of others."""

_OLD = """
SELECT a.id FROM alert a WHERE a.settled AND a.finished_at < now() - make_interval(days => :days)
AND EXISTS (SELECT 1 FROM batch b WHERE b.alert_id = a.id AND b.shard_n <> :summary)
ORDER BY a.finished_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_SUMMARIES = f"""
WITH steps AS (
    SELECT provider, results, progress[i] AS ms, sum(progress[i + 1]) AS n
    FROM batch, generate_series(1, cardinality(progress) - 1, 2) AS i
    WHERE alert_id = :a GROUP BY provider, results, progress[i]
), series AS (
    SELECT provider, results, array_agg(x ORDER BY ms, o) AS progress
    FROM steps, unnest(ARRAY[ms, n]::int[]) WITH ORDINALITY AS u(x, o) GROUP BY provider, results
)
INSERT INTO batch (alert_id, shard_n, n, provider, results, device_ids, states, counts, progress,
    claimable_at, started_at, finished_at)
SELECT :a, :summary, row_number() OVER (ORDER BY provider, results), provider, results, '{{}}', '',
    ARRAY[{sums_of_counts("b")}]::int[],
    coalesce((SELECT s.progress FROM series s
        WHERE (s.provider, s.results) = (b.provider, b.results)), '{{}}'),
    now(), min(started_at), max(finished_at)
FROM batch b WHERE b.alert_id = :a AND b.shard_n <> :summary GROUP BY provider, results
"""


_FOLD_SHARDS = f"""
WITH folded AS (
    DELETE FROM shard WHERE alert_id = :a AND n <> :summary RETURNING left_out
)
INSERT INTO shard (alert_id, n, lo, hi, done, left_out)
SELECT :a, :summary, 0, 0, true, ARRAY[{SUMS}] FROM folded HAVING bool_or(left_out IS NOT NULL)
ON CONFLICT DO NOTHING
"""


def shrink_oldest_alert(session: Session, keep_days: int) -> bool:
    """Fold the batches of one alert that ended long ago by provider; False: there is none.

    Totals and timings stay as they were; what happened to one device is forgotten. One alert is
    one transaction: the sweep keeps its lease meanwhile, and vacuum follows close behind.
    """
    values = {"days": keep_days, "summary": SUMMARY_SHARD}
    alert_id = session.execute(text(_OLD), values).scalar_one_or_none()
    if alert_id is None:
        return False
    named = {"a": alert_id, "summary": SUMMARY_SHARD}
    session.execute(text(_SUMMARIES), named)
    session.execute(text("DELETE FROM batch WHERE alert_id = :a AND shard_n <> :summary"), named)
    session.execute(text(_FOLD_SHARDS), named)
    for table in ("retry", "dead_letter"):
        session.execute(text(f"DELETE FROM {table} WHERE alert_id = :a"), {"a": alert_id})
    return True
