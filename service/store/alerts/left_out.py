"""How many devices the rules left out of an alert, and why: what its shards counted."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import LeftOut
from service.store.readers.left_out_rules import REASONS, by_reason

SUMS = ", ".join(f"coalesce(sum(left_out[{n}]), 0)::int" for n in range(1, len(REASONS) + 1))
"""The sums of several shards, in the order of `REASONS`."""

_COUNTS = text(f"""
    SELECT alert_id, ARRAY[{SUMS}] AS counts FROM shard
    WHERE alert_id = ANY(:ids) AND left_out IS NOT NULL GROUP BY alert_id""")


def count_left_out(session: Session, alert_ids: Sequence[int]) -> dict[int, dict[LeftOut, int]]:
    """Return by alert how many devices were left out by which rule."""
    rows = session.execute(_COUNTS, {"ids": list(alert_ids)})
    return {row.alert_id: by_reason(row.counts) for row in rows}
