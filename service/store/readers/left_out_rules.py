"""Who of those whom an alert is addressed to does not get it, and why, in SQL.

The same rules stand in `service.domain.audience.why_left_out`. Each is one CTE that ends in a set
of readers' ids; only the rules that can apply to an alert are in its statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    SELECT unreading.id FROM unnest(CAST(:unread AS text[])) AS set (languages)
    CROSS JOIN LATERAL (SELECT reader.id FROM reader
        WHERE reader.reads = CAST(set.languages AS text[])
        AND reader.reads <> '{}' AND reader.id >= :lo AND reader.id < :hi OFFSET 0) unreading
    UNION ALL
    SELECT reader.id FROM reader WHERE CAST(:too_many_sets AS boolean)
    AND reader.id >= :lo AND reader.id < :hi
    AND reader.reads <> '{}' AND NOT reader.reads && CAST(:languages AS text[])
)"""
"""Readers are looked up by what they read, in the index `reader_by_reads`: it costs nothing where
all of them read the alert. `OFFSET 0` keeps the planner from reading the whole range instead.
"""
MOST_SETS = 500
"""More sets of languages are not looked up one by one."""

_UNREAD_SETS = text("""
    WITH RECURSIVE set AS (
        (SELECT reads FROM reader WHERE reads <> '{}' ORDER BY reads LIMIT 1)
        UNION ALL
        SELECT (SELECT reads FROM reader
            WHERE reads <> '{}' AND reads > set.reads ORDER BY reads LIMIT 1)
        FROM set WHERE set.reads IS NOT NULL
    ), used AS (SELECT reads FROM set WHERE reads IS NOT NULL LIMIT :most_sets + 1)
    SELECT count(*) > :most_sets AS too_many, coalesce(array_agg(CAST(reads AS text))
        FILTER (WHERE NOT reads && CAST(:languages AS text[])), '{}') AS sets FROM used""")
"""One probe of the index for each set of languages that some reader reads."""

_CAPPED = """
capped AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:capped AS bigint[]), CAST(:firsts AS bigint[])) AS t (id, first)
)"""
_SENDS = """capped JOIN recent_send s ON s.alert_id = capped.id
        AND s.first_reader_id >= capped.first AND s.first_reader_id < :hi"""
_BETWEEN = """s.alert_id = ANY(CAST(:capped AS bigint[]))
        AND s.first_reader_id >= CAST(:least_first AS bigint)"""
"""Says nothing new: with constants the planner knows how many rows there are."""
_HAVE_ENOUGH = """, left_out_frequency AS MATERIALIZED (
    SELECT recent.id FROM recent LEFT JOIN wish ON wish.id = recent.id
    WHERE recent.n >= least(nullif(CAST(:frequency_cap AS int), 0), wish.alerts_per_day)
)"""
_WISHES = """, wish AS MATERIALIZED (
    SELECT id, alerts_per_day FROM reader
    WHERE id >= :lo AND id < :hi AND alerts_per_day IS NOT NULL
), least_cap AS (
    SELECT least(nullif(CAST(:frequency_cap AS int), 0), min(alerts_per_day)) AS n FROM wish
)"""
_AS_MANY = "HAVING {n} >= (SELECT n FROM least_cap)"
"""Who had fewer alerts than the least cap is not compared with a cap of its own."""
_COUNT_ALL = f"""SELECT id, sum(n) AS n FROM (
        SELECT unnest(reader_ids) AS id, n FROM (
            SELECT s.reader_ids, count(*)::int AS n FROM {_SENDS}
            WHERE {_BETWEEN}{{condition}} GROUP BY s.reader_ids) same) sent
    GROUP BY id {_AS_MANY.format(n="sum(n)")}"""
"""Rows of the same readers are read once: most alerts of a day go to the same ones."""
_ALL_SENDS = f"""{_CAPPED}{_WISHES}, recent AS (
    {_COUNT_ALL.format(condition="")}
){_HAVE_ENOUGH}"""
"""Reads all sends of the range, where these are not many more than those to its followers."""
_OFTEN = f"""{_CAPPED}{_WISHES}, probes AS MATERIALIZED (
    SELECT count(*) * (SELECT count(*) FROM capped) / :probes_a_row AS n FROM follower
), volume AS MATERIALIZED (
    SELECT count(*) AS n FROM (SELECT 1 FROM {_SENDS} LIMIT (SELECT n + 1 FROM probes)) part
), recent AS (
    {_COUNT_ALL.format(condition=" AND (SELECT volume.n <= probes.n FROM volume, probes)")}
    UNION ALL
    SELECT follower.id, count(*) FROM follower CROSS JOIN capped CROSS JOIN LATERAL (
        SELECT reader_ids FROM recent_send
        WHERE alert_id = capped.id AND first_reader_id <= follower.id
        ORDER BY first_reader_id DESC LIMIT 1) s
    WHERE (SELECT volume.n > probes.n FROM volume, probes) AND follower.id = ANY(s.reader_ids)
    GROUP BY follower.id {_AS_MANY.format(n="count(*)")}
){_HAVE_ENOUGH}"""
"""Where many others got alerts lately, each of them is looked up instead of reading all sends. An
alert that was stopped does not count, whether it had reached the reader or not.
"""
ROWS_A_SHARD = 50
"""Whom an alert goes to is kept in so many rows a shard, or up to twice as many, each a part of its
range: of a full shard at most 200 readers each, which still fit a page's line."""
PROBES_A_ROW = 3
"""So many readers are looked up in the time in which one row is read and counted."""

_ANY_WISH = text("SELECT EXISTS (SELECT 1 FROM reader WHERE alerts_per_day IS NOT NULL)")
_SENDS_IN_RANGE = text(f"""
    WITH capped AS MATERIALIZED (
        SELECT alert.id, coalesce(before.first, :lo) AS first FROM alert
        CROSS JOIN LATERAL (SELECT max(first_reader_id) AS first FROM recent_send
            WHERE alert_id = alert.id AND first_reader_id <= :lo) before
        WHERE {_COUNTED} AND alert.id <> :alert_id
        AND EXISTS (SELECT 1 FROM recent_send WHERE alert_id = alert.id)
    ), known AS (
        SELECT count(*) AS n, count(*) >= least(nullif(CAST(:frequency_cap AS int), 0), (
            SELECT min(alerts_per_day) FROM reader
            WHERE id >= :lo AND id < :hi AND alerts_per_day IS NOT NULL)) AS enough FROM capped
    )
    SELECT coalesce(enough, false) AS enough, n * :rows_an_alert >= (
        SELECT count(*) FROM (SELECT 1 FROM {_SENDS} WHERE enough
            LIMIT n * :rows_an_alert + 1) part) AS few,
        ARRAY(SELECT id FROM capped ORDER BY id) AS alerts,
        ARRAY(SELECT first FROM capped ORDER BY id) AS firsts
    FROM known""")
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


@dataclass(frozen=True, slots=True)
class UnreadSets:
    """The sets of languages that readers read and that hold none of an alert's.

    Each is as PostgreSQL writes it. `too_many`: readers read more sets than are looked up.
    """

    sets: Sequence[str] = ()
    too_many: bool = False

    @property
    def leave_out_nobody(self) -> bool:
        """Whether every reader reads the alert."""
        return not (self.sets or self.too_many)


def unread_sets(session: Session, languages: Sequence[str]) -> UnreadSets:
    """Return what readers read who read none of `languages`."""
    values = {"languages": list(languages), "most_sets": MOST_SETS}
    row = session.execute(_UNREAD_SETS, values).one()
    return UnreadSets((), too_many=True) if row.too_many else UnreadSets(row.sets)


def bits_of_row(lo: int, hi: int) -> int:
    """Return how many low bits of a reader's id differ within a row of a shard [lo, hi).

    Rows of different alerts begin at the same ids, however their shards were cut: so they are the
    same where the readers are.
    """
    return max((hi - lo) // ROWS_A_SHARD, 1).bit_length() - 1


def keep_sends_sql() -> str:
    """Return the CTE that keeps whom an alert goes to, some readers to a row."""
    return """, kept AS (
    INSERT INTO recent_send (alert_id, first_reader_id, reader_ids)
    SELECT :alert_id, min(reader_id), array_agg(DISTINCT reader_id) FROM candidate
    WHERE reason < 1 GROUP BY reader_id >> CAST(:row_bits AS int)
)"""


def cap_in_force(session: Session, installation_cap: int) -> int | None:
    """Return the cap to judge by: 0 where only readers have wishes, None where nobody has any."""
    if installation_cap:
        return installation_cap
    return 0 if session.execute(_ANY_WISH).scalar_one() else None


@dataclass(frozen=True, slots=True)
class SendsInRange:
    """The alerts that count against a cap, with the first row of each that may reach into a range.

    `enough`: a reader of the range can have had as many as a cap allows. `few`: so many rows are
    sooner read than each follower is looked up.
    """

    alerts: Sequence[int]
    firsts: Sequence[int]
    enough: bool
    few: bool


def sends_in_range(
    session: Session, alert_id: int | None, cap: int, at: datetime, lo: int, hi: int
) -> SendsInRange:
    """Return what counts for readers of [lo, hi); the alert `alert_id` itself does not."""
    values = {"alert_id": alert_id or 0, "frequency_cap": cap, "at": at, "lo": lo, "hi": hi}
    row = session.execute(_SENDS_IN_RANGE, {**values, "rows_an_alert": 4 * ROWS_A_SHARD}).one()
    return SendsInRange(row.alerts, row.firsts, row.enough, row.few)


def forget_old_sends(session: Session) -> None:
    """Forget whom alerts went to that count no more."""
    session.execute(_FORGET_OLD_SENDS)


def counts_sql(*, candidates: bool) -> str:
    """Return the counts of `candidate` as an array in the order of `REASONS`.

    Without `candidates`, where no rule can leave out anybody, all are 0.
    """
    if not candidates:
        return f"SELECT ARRAY{[0 for _ in REASONS]}"
    counts = ", ".join(
        f"count(*) FILTER (WHERE reason = {n})::int" for n in range(1, len(REASONS) + 1)
    )
    return f"SELECT ARRAY[{counts}] FROM candidate"


def by_reason(counts: Sequence[int]) -> dict[LeftOut, int]:
    """Return counts that stand in the order of `REASONS` by reason; older ones may be shorter."""
    return dict.fromkeys(REASONS, 0) | dict(zip(REASONS, counts, strict=False))


def _name(reason: LeftOut) -> str:
    return f"left_out_{reason.value}"
