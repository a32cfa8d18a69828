"""What the batches of alerts add up to: read, never written."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Alert
from service.domain.delivery import MOST_ATTEMPTS_COUNTED, Delivery, State
from service.domain.totals import Totals
from service.store.sql_fragments import (
    DELIVERIES,
    HOLDS_ANY_VERSION,
    count_of,
    known_of,
    sums_of_counts,
)

_TOTALS = f"""
SELECT alert_id, provider, {sums_of_counts()} FROM batch WHERE alert_id = ANY(:ids)
GROUP BY alert_id, provider ORDER BY alert_id, provider
"""


def totals(session: Session, alert_ids: Sequence[int]) -> dict[int, dict[str, Totals]]:
    """Add up where the deliveries of each alert stand, by provider."""
    sums: dict[int, dict[str, Totals]] = defaultdict(dict)
    for alert_id, provider, *counts in session.execute(text(_TOTALS), {"ids": list(alert_ids)}):
        sums[alert_id][provider] = Totals(*counts)
    return dict(sums)


_KNOWN = text(f"""
SELECT alert_id, {known_of()}::int AS known FROM batch WHERE alert_id = ANY(:ids)
GROUP BY alert_id""")


def count_known(session: Session, alert_ids: Sequence[int]) -> dict[int, int]:
    """Return by alert of how many devices it is known whether they opened it."""
    rows = session.execute(_KNOWN, {"ids": list(alert_ids)})
    return {row.alert_id: row.known for row in rows}


_STEPS = """
WITH step AS (
    SELECT alert_id, progress[i] AS at, progress[i + 1] AS n FROM batch
    CROSS JOIN LATERAL generate_series(1, cardinality(progress), 2) AS i
    WHERE alert_id = ANY(:ids)
), span AS (
    SELECT alert_id, greatest((max(at) - min(at)) / :most, 1) AS width FROM step GROUP BY alert_id
)
SELECT alert_id, min(at) AS first, max(at) AS last, sum(n) AS n FROM step JOIN span USING (alert_id)
GROUP BY alert_id, at / width
"""
MOST_STEPS = 500
"""An alert's time is cut into so many pieces: medians are as exact as that, the ends exact."""


def steps(session: Session, alert_ids: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Return how many were newly accepted how many milliseconds after each alert was due."""
    rows = session.execute(text(_STEPS), {"ids": list(alert_ids), "most": MOST_STEPS})
    pairs: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for alert_id, first, last, n in rows:
        pairs[alert_id] += [(first, 1), (last, n - 1)]
    return dict(pairs)


_HOLDERS = f"""
SELECT b.provider, count(DISTINCT d.id) FROM {DELIVERIES}
WHERE b.alert_id = ANY(:ids) AND b.provider = ANY(:providers) AND {HOLDS_ANY_VERSION}
GROUP BY b.provider
"""


def count_holders(
    session: Session, members: Sequence[Alert], providers: Sequence[str], *, takes_over: bool
) -> dict[str, int]:
    """Count whom a correction of this chain would go to, by provider; the root comes first.

    That is who has or may have any version; with `takes_over` also whom the root did not reach.
    """
    values = {
        "ids": [member.id for member in members],
        "root": members[0].id,
        "providers": list(providers),
        "takes_over": takes_over,
    }
    return {str(provider): int(n) for provider, n in session.execute(text(_HOLDERS), values)}


def answers_on_record(session: Session, alert_id: int, provider: str) -> tuple[int, int]:
    """Return how many pushes of an alert the provider has accepted, and how many it answered."""
    accepted, answers = session.execute(
        text(
            f"SELECT coalesce(sum({count_of(State.ACCEPTED)}), 0), coalesce(sum("
            f"{count_of(State.ACCEPTED)} + {count_of(State.GONE)} + {count_of(State.BURIED)}), 0) "
            "FROM batch WHERE alert_id = :a AND provider = :p"
        ),
        {"a": alert_id, "p": provider},
    ).one()
    return int(accepted), int(answers)


_UNKNOWN_BYTES = [
    bytes([Delivery(state, True, attempts).pack()])
    for state in (State.EXPIRED, State.BURIED, State.CANCELLED)
    for attempts in range(MOST_ATTEMPTS_COUNTED + 1)
]
_HAS_UNKNOWN = text("""
SELECT EXISTS (SELECT 1 FROM batch b CROSS JOIN unnest(CAST(:bytes AS bytea[])) AS unknown(byte)
    WHERE b.alert_id = ANY(:ids) AND position(unknown.byte IN b.states) > 0)""")


def may_have_arrived(session: Session, alert_ids: Sequence[int]) -> bool:
    """Whether a push of the alerts was accepted, may be on a screen all the same, or may leave."""
    sums = totals(session, alert_ids)
    every = [each for by_provider in sums.values() for each in by_provider.values()]
    if any(each.accepted or each.open for each in every):
        return True
    values = {"ids": list(alert_ids), "bytes": _UNKNOWN_BYTES}
    return bool(session.execute(_HAS_UNKNOWN, values).scalar_one())
