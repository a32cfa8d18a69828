"""Who of those whom an alert is addressed to does not get it, and why, in SQL.

The same rules stand in `service.domain.audience.why_left_out`. Each is one CTE that ends in a set
of readers' ids; only the rules that can apply to an alert are in its statement.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import CAP_WINDOW, LeftOut

REASONS = tuple(LeftOut)
"""A statement says why by the position in this order, counted from 1; 0: nobody is left out."""

COUNTS = "alert.started_at IS NOT NULL AND alert.urgency < 2"
"""Which alerts can count against a cap: the condition of the index `alert_counts`."""
_WINDOW = f"interval '{CAP_WINDOW.total_seconds():.0f} seconds'"

_COUNTED = f"""alert.started_at > CAST(:at AS timestamptz) - {_WINDOW}
    AND {COUNTS} AND alert.state <> 'stopped'"""

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
    AND reader.reads <> '{}' AND NOT (reader.reads[1] = ANY(CAST(:languages AS text[]))
        OR reader.reads && CAST(:languages AS text[]))
)"""
"""Most readers read one language or two: a look at the first spares comparing the lists."""

_CAPPED = f"""
capped AS MATERIALIZED (
    SELECT alert.id, (SELECT coalesce(max(first_reader_id), :lo) FROM recent_send
        WHERE alert_id = alert.id AND first_reader_id <= :lo) AS first
    FROM alert WHERE {_COUNTED}
)"""
_SENDS = """capped JOIN recent_send s ON s.alert_id = capped.id
        AND s.first_reader_id >= capped.first AND s.first_reader_id < :hi"""
_HAVE_ENOUGH = """, wish AS MATERIALIZED (
    SELECT id, alerts_per_day FROM reader
    WHERE id >= :lo AND id < :hi AND alerts_per_day IS NOT NULL
), left_out_frequency AS MATERIALIZED (
    SELECT recent.id FROM recent LEFT JOIN wish ON wish.id = recent.id
    WHERE recent.n >= least(nullif(CAST(:frequency_cap AS int), 0), wish.alerts_per_day)
)"""
_ALL_SENDS = f"""{_CAPPED}, recent AS (
    SELECT id, count(*) AS n FROM (SELECT unnest(s.reader_ids) AS id FROM {_SENDS}) sent GROUP BY id
){_HAVE_ENOUGH}"""
"""Reads all sends of the range, where these are not many more than those to its followers."""
_OFTEN = f"""{_CAPPED}, probes AS MATERIALIZED (
    SELECT count(*) * (SELECT count(*) FROM capped) / :probes_a_row AS n FROM follower
), volume AS MATERIALIZED (
    SELECT count(*) AS n FROM (SELECT 1 FROM {_SENDS} LIMIT (SELECT n + 1 FROM probes)) part
), recent AS (
    SELECT id, count(*) AS n FROM (
        SELECT unnest(s.reader_ids) AS id FROM {_SENDS}
        WHERE (SELECT volume.n <= probes.n FROM volume, probes)) sent GROUP BY id
    UNION ALL
    SELECT follower.id, count(*) FROM follower CROSS JOIN capped CROSS JOIN LATERAL (
        SELECT reader_ids FROM recent_send
        WHERE alert_id = capped.id AND first_reader_id <= follower.id
        ORDER BY first_reader_id DESC LIMIT 1) s
    WHERE (SELECT volume.n > probes.n FROM volume, probes) AND follower.id = ANY(s.reader_ids)
    GROUP BY follower.id
){_HAVE_ENOUGH}"""
"""Where many others got alerts lately, each of them is looked up instead of reading all sends. An
alert that was stopped does not count, whether it had reached the reader or not.
"""
ROWS_A_SHARD = 50
"""Whom an alert goes to is kept in about so many rows a shard, each a part of its range: of a full
shard 200 readers each, which still fit a page's line."""
PROBES_A_ROW = 3
"""So many readers are looked up in the time in which one row is read and counted."""

_ANY_WISH = text("SELECT EXISTS (SELECT 1 FROM reader WHERE alerts_per_day IS NOT NULL)")
_OTHERS = f"""FROM alert WHERE {_COUNTED} AND alert.id <> :alert_id
    AND EXISTS (SELECT 1 FROM recent_send WHERE recent_send.alert_id = alert.id)"""
_MAY_HAVE_ENOUGH = text(f"""
    SELECT count(*) >= least(nullif(CAST(:frequency_cap AS int), 0), (
        SELECT min(alerts_per_day) FROM reader
        WHERE id >= :lo AND id < :hi AND alerts_per_day IS NOT NULL)) {_OTHERS}""")
_ARE_FEW = text(f"""
    WITH {_CAPPED}, most AS (SELECT count(*) * :most_rows AS n {_OTHERS})
    SELECT (SELECT n FROM most) >= (
        SELECT count(*) FROM (SELECT 1 FROM {_SENDS} LIMIT (SELECT n + 1 FROM most)) part)""")
_FORGET_OLD_SENDS = text(f"""
    DELETE FROM recent_send WHERE NOT EXISTS (SELECT 1 FROM alert
        WHERE alert.id = recent_send.alert_id AND alert.started_at >= now() - {_WINDOW})""")

_READERS: Mapping[LeftOut, str] = {
    LeftOut.QUIET_HOURS: _QUIET,
    LeftOut.LANGUAGE: _UNREAD,
    LeftOut.FREQUENCY: _OFTEN,
}


def readers_sql(reasons: Sequence[LeftOut], *, all_sends: bool = False) -> list[str]:
    """Return the CTEs of the rules, and `judged(id, reason)`: each follower with its reason.

    `all_sends`: those of the whole range are few enough to be read.
    """
    ctes = {**_READERS, LeftOut.FREQUENCY: _ALL_SENDS} if all_sends else _READERS
    cases = "".join(
        f" WHEN {_name(reason)}.id IS NOT NULL THEN {REASONS.index(reason) + 1}"
        for reason in reasons
    )
    joins = "".join(
        f" LEFT JOIN {_name(reason)} ON {_name(reason)}.id = follower.id" for reason in reasons
    )
    return [
        *(ctes[reason] for reason in reasons),
        f"\njudged AS (SELECT follower.id, CASE{cases} ELSE 0 END AS reason FROM follower{joins})",
    ]


def keep_sends_sql() -> str:
    """Return the CTE that keeps whom an alert goes to, some readers to a row."""
    return """, kept AS (
    INSERT INTO recent_send (alert_id, first_reader_id, reader_ids)
    SELECT :alert_id, min(reader_id), array_agg(DISTINCT reader_id) FROM candidate
    WHERE reason < 1 GROUP BY (reader_id - :lo) / :row_width
)"""


def cap_in_force(session: Session, installation_cap: int) -> int | None:
    """Return the cap to judge by: 0 where only readers have wishes, None where nobody has any."""
    if installation_cap:
        return installation_cap
    return 0 if session.execute(_ANY_WISH).scalar_one() else None


def sends_in_range(
    session: Session, alert_id: int, cap: int, at: datetime, lo: int, hi: int
) -> tuple[bool, bool]:
    """Whether a reader of [lo, hi) can have had enough alerts, and whether these are few to read.

    Nobody can while there were fewer alerts than the least cap.
    """
    values = {"alert_id": alert_id, "frequency_cap": cap, "at": at, "lo": lo, "hi": hi}
    if not session.execute(_MAY_HAVE_ENOUGH, values).scalar_one():
        return False, True
    rows = {**values, "most_rows": 4 * ROWS_A_SHARD}
    return True, bool(session.execute(_ARE_FEW, rows).scalar_one())


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
