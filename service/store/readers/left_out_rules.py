"""Who of those whom an alert is addressed to does not get it, and why, in SQL.

The same rules stand in `service.domain.audience.why_left_out`. Each is one CTE that ends in a set
of readers' ids; only the rules that can apply to an alert are in its statement.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import CAP_WINDOW, LeftOut

REASONS = tuple(LeftOut)
"""A statement says why by the position in this order, counted from 1; 0: nobody is left out."""

COUNTS = "alert.started_at IS NOT NULL AND alert.urgency < 2"
"""Which alerts can count against a cap: the condition of the index `alert_counts`."""
_WINDOW = f"interval '{CAP_WINDOW.total_seconds():.0f} seconds'"

_QUIET = """
zone AS MATERIALIZED (
    SELECT name, local FROM unnest(CAST(:zone_names AS text[]), CAST(:local_times AS time[]))
        AS zone (name, local)
), left_out_quiet_hours AS MATERIALIZED (
    SELECT reader.id FROM reader JOIN zone ON zone.name = reader.timezone
    WHERE reader.id >= :lo AND reader.id < :hi AND quiet_from <> quiet_to
    AND CASE WHEN quiet_from <= quiet_to THEN local >= quiet_from AND local < quiet_to
        ELSE local >= quiet_from OR local < quiet_to END
)"""
"""The database computes no local time: it may not know a name that we know."""

_UNREAD = """
left_out_language AS MATERIALIZED (
    SELECT reader.id FROM reader WHERE reader.id >= :lo AND reader.id < :hi
    AND reader.reads <> '{}' AND NOT reader.reads && CAST(:languages AS text[])
)"""

_OFTEN = f"""
capped AS MATERIALIZED (
    SELECT alert.id, (SELECT coalesce(max(first_reader_id), :lo) FROM recent_send
        WHERE alert_id = alert.id AND first_reader_id <= :lo) AS first
    FROM alert WHERE alert.started_at > CAST(:at AS timestamptz) - {_WINDOW}
    AND {COUNTS} AND alert.state <> 'stopped'
), volume AS MATERIALIZED (
    SELECT count(*) AS n FROM (
        SELECT 1 FROM capped JOIN recent_send s ON s.alert_id = capped.id
            AND s.first_reader_id >= capped.first AND s.first_reader_id < :hi
        LIMIT :most_rows) part
), recent AS (
    SELECT id, count(*) AS n FROM (
        SELECT unnest(s.reader_ids) AS id FROM capped JOIN recent_send s ON s.alert_id = capped.id
            AND s.first_reader_id >= capped.first AND s.first_reader_id < :hi
        WHERE (SELECT n FROM volume) < :most_rows) sent GROUP BY id
    UNION ALL
    SELECT follower.id, count(*) FROM follower CROSS JOIN capped CROSS JOIN LATERAL (
        SELECT reader_ids FROM recent_send
        WHERE alert_id = capped.id AND first_reader_id <= follower.id
        ORDER BY first_reader_id DESC LIMIT 1) s
    WHERE (SELECT n FROM volume) >= :most_rows AND follower.id = ANY(s.reader_ids)
    GROUP BY follower.id
), wish AS MATERIALIZED (
    SELECT id, alerts_per_day FROM reader
    WHERE id >= :lo AND id < :hi AND alerts_per_day IS NOT NULL
), left_out_frequency AS MATERIALIZED (
    SELECT recent.id FROM recent LEFT JOIN wish ON wish.id = recent.id
    WHERE recent.n >= least(nullif(CAST(:frequency_cap AS int), 0), wish.alerts_per_day)
)"""
"""Where many others got alerts lately, each follower is looked up instead of reading all of them.

An alert that was stopped does not count, whether it had reached the reader or not.
"""
READERS_A_ROW = 64
MOST_ROWS_READ = 2000
"""So many rows of `recent_send` are read at most; beyond, each follower is looked up."""

_ANY_WISH = text("SELECT EXISTS (SELECT 1 FROM reader WHERE alerts_per_day IS NOT NULL)")
_FORGET_OLD_SENDS = text(f"""
    DELETE FROM recent_send USING alert WHERE alert.id = recent_send.alert_id
    AND alert.started_at < now() - {_WINDOW}""")

_READERS: Mapping[LeftOut, str] = {
    LeftOut.QUIET_HOURS: _QUIET,
    LeftOut.LANGUAGE: _UNREAD,
    LeftOut.FREQUENCY: _OFTEN,
}


def readers_sql(reasons: Sequence[LeftOut]) -> list[str]:
    """Return the CTEs of the rules, and `judged(id, reason)`: each follower with its reason."""
    cases = "".join(
        f" WHEN {_name(reason)}.id IS NOT NULL THEN {REASONS.index(reason) + 1}"
        for reason in reasons
    )
    joins = "".join(
        f" LEFT JOIN {_name(reason)} ON {_name(reason)}.id = follower.id" for reason in reasons
    )
    return [
        *(_READERS[reason] for reason in reasons),
        f"\njudged AS (SELECT follower.id, CASE{cases} ELSE 0 END AS reason FROM follower{joins})",
    ]


def keep_sends_sql() -> str:
    """Return the CTE that keeps whom an alert goes to, some readers to a row."""
    return f""", kept AS (
    INSERT INTO recent_send (alert_id, first_reader_id, reader_ids)
    SELECT :alert_id, min(id), array_agg(id) FROM (
        SELECT id, (row_number() OVER (ORDER BY id) - 1) / {READERS_A_ROW} AS part
        FROM (SELECT DISTINCT reader_id AS id FROM candidate WHERE reason = 0) sent
    ) numbered GROUP BY part
)"""


def cap_in_force(session: Session, installation_cap: int) -> int | None:
    """Return the cap to judge by: 0 where only readers have wishes, None where nobody has any."""
    if installation_cap:
        return installation_cap
    return 0 if session.execute(_ANY_WISH).scalar_one() else None


def forget_old_sends(session: Session) -> None:
    """Forget whom alerts went to that count no more."""
    session.execute(_FORGET_OLD_SENDS)


def counts_sql() -> str:
    """Return the counts of `candidate` as an array in the order of `REASONS`."""
    counts = ", ".join(
        f"count(*) FILTER (WHERE reason = {n})::int" for n in range(1, len(REASONS) + 1)
    )
    return f"SELECT ARRAY[{counts}] FROM candidate"


def by_reason(counts: Sequence[int]) -> dict[LeftOut, int]:
    """Return counts that stand in the order of `REASONS` by reason; older ones may be shorter."""
    return dict.fromkeys(REASONS, 0) | dict(zip(REASONS, counts, strict=False))


def _name(reason: LeftOut) -> str:
    return f"left_out_{reason.value}"
