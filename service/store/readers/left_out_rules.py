"""Who of those whom an alert is addressed to does not get it, and why, in SQL.

The same rules stand in `service.domain.audience.why_left_out`. Each is one CTE that ends in a set
of readers' ids; only the rules that can apply to an alert are in its statement.
"""

from collections.abc import Mapping, Sequence

from service.domain.audience import LeftOut

REASONS = tuple(LeftOut)
"""A statement says why by the position in this order, counted from 1; 0: nobody is left out."""

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

_READERS: Mapping[LeftOut, str] = {LeftOut.QUIET_HOURS: _QUIET, LeftOut.LANGUAGE: _UNREAD}


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
