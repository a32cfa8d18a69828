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
AND (EXISTS (SELECT 1 FROM batch b WHERE b.alert_id = a.id AND b.shard_n <> :summary)
    OR EXISTS (SELECT 1 FROM receipt r WHERE r.alert_id = a.id AND r.shard_n <> :summary))
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

_BITS = (
    "decode(rpad(repeat('ff', {n} / 8) || lpad(to_hex((1 << ({n} % 8)) - 1), 2, '0'), "
    "2 * (greatest(shown, opened) / 8 + 1), '0'), 'hex')"
)
"""A bitmap that has its first `n` bits set: all that is left of who they were."""

_FOLD_RECEIPTS = f"""
WITH spoken AS (
    SELECT coalesce(s.n, 0) AS n, r.marks, r.openings FROM receipt r
    LEFT JOIN batch b ON (b.alert_id, b.shard_n, b.n) = (r.alert_id, r.shard_n, r.n)
    LEFT JOIN batch s ON s.alert_id = r.alert_id AND s.shard_n = :summary
        AND (s.provider, s.results) = (b.provider, b.results)
    WHERE r.alert_id = :a AND r.shard_n <> :summary
), sums AS (
    SELECT n, sum(bit_count(substring(marks FROM 1 FOR length(marks) / 2)))::int AS shown,
        sum(bit_count(substring(marks FROM length(marks) / 2 + 1)))::int AS opened
    FROM spoken GROUP BY n
), steps AS (
    SELECT n, openings[i] AS minute, sum(openings[i + 1]) AS opened
    FROM spoken, generate_series(1, cardinality(openings) - 1, 2) AS i GROUP BY n, openings[i]
), series AS (
    SELECT n, array_agg(x ORDER BY minute, o) AS openings
    FROM steps, unnest(ARRAY[minute, opened]::int[]) WITH ORDINALITY AS u(x, o) GROUP BY n
)
INSERT INTO receipt (alert_id, shard_n, n, marks, openings)
SELECT :a, :summary, n, {_BITS.format(n="shown")} || {_BITS.format(n="opened")},
    coalesce((SELECT s.openings FROM series s WHERE s.n = sums.n), '{{}}')
FROM sums ON CONFLICT DO NOTHING
"""
"""An alert's receipts as one row a provider, with the key of its totals.

Receipts of an alert that an earlier release has shrunk have no batch any more: their row is 0.
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

    Totals, timings and openings stay as they were; what happened to one device, and what it said,
    is forgotten. One alert is one transaction: the sweep keeps its lease meanwhile, and vacuum
    follows close behind.
    """
    values = {"days": keep_days, "summary": SUMMARY_SHARD}
    alert_id = session.execute(text(_OLD), values).scalar_one_or_none()
    if alert_id is None:
        return False
    named = {"a": alert_id, "summary": SUMMARY_SHARD}
    session.execute(text(_SUMMARIES), named)
    session.execute(text(_FOLD_RECEIPTS), named)
    for table in ("receipt", "batch"):
        session.execute(
            text(f"DELETE FROM {table} WHERE alert_id = :a AND shard_n <> :summary"), named
        )
    session.execute(text(_FOLD_SHARDS), named)
    for table in ("retry", "dead_letter"):
        session.execute(text(f"DELETE FROM {table} WHERE alert_id = :a"), {"a": alert_id})
    return True
