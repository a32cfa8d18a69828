"""What the batches of an alert add up to, and what they say of one device: read, never written."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Alert
from service.domain.delivery import STATES, Delivery, State, Totals


@dataclass(frozen=True, slots=True)
class Found:
    """One delivery: where it stands in the ledger and what its byte says."""

    shard_n: int
    n: int
    position: int
    provider: str
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Fate:
    """What happened to one device, with the reason where there is one to give."""

    state: State
    provider: str
    attempts: int
    unknown: bool
    reason: str | None


_SUMS = ", ".join(f"sum(counts[{state + 1}])" for state in STATES)


def totals(session: Session, alert_ids: Sequence[int]) -> dict[int, dict[str, Totals]]:
    """Add up where the deliveries of each alert stand, by provider."""
    rows = session.execute(
        text(
            f"SELECT alert_id, provider, {_SUMS} FROM batch WHERE alert_id = ANY(:ids) "
            "GROUP BY alert_id, provider ORDER BY alert_id, provider"
        ),
        {"ids": list(alert_ids)},
    )
    found: dict[int, dict[str, Totals]] = defaultdict(dict)
    for alert_id, provider, *counts in rows:
        found[alert_id][provider] = Totals(*counts)
    return dict(found)


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
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for alert_id, first, last, n in rows:
        found[alert_id] += [(first, 1), (last, n - 1)]
    return dict(found)


def holders(
    session: Session, members: Sequence[Alert], providers: Sequence[str], *, takes_over: bool
) -> dict[str, int]:
    """Count whom a correction of this chain would go to, by provider.

    That is who has or may have any version; with `takes_over` also whom the root did not reach.
    """
    root = members[0].id
    rows = session.execute(
        text(
            "SELECT b.provider, count(DISTINCT d.id) FROM batch b "
            "CROSS JOIN LATERAL unnest(b.device_ids) WITH ORDINALITY AS d(id, o) "
            "CROSS JOIN LATERAL (SELECT get_byte(b.states, (d.o - 1)::int) AS byte) s "
            "WHERE b.alert_id = ANY(:ids) AND b.provider = ANY(:providers) "
            "AND (s.byte & 7 = :accepted OR s.byte & 8 <> 0 "
            "OR (b.alert_id = :root AND s.byte & 7 = ANY(:wanted))) GROUP BY b.provider"
        ),
        {
            "ids": [member.id for member in members],
            "providers": list(providers),
            "root": root,
            "accepted": int(State.ACCEPTED),
            "wanted": [int(s) for s in (State.PENDING, State.RETRYING, State.CANCELLED)]
            if takes_over
            else [],
        },
    )
    return {str(provider): int(n) for provider, n in rows}


def fate_of(session: Session, alert: Alert, device_id: int) -> Fate | None:
    """Say what happened to one device; None when it is not in the alert's audience, or not yet."""
    found = find(session, alert, device_id)
    if found is None:
        return None
    return Fate(
        state=found.delivery.state,
        provider=found.provider,
        attempts=found.delivery.attempts,
        unknown=found.delivery.unknown,
        reason=_reason(session, alert, device_id, found),
    )


def find(session: Session, alert: Alert, device_id: int) -> Found | None:
    """Find a device's delivery: in its reader's shard, or anywhere when the device is erased."""
    shard_n = _shard_of(session, alert, device_id)
    found = None if shard_n is None else _find(session, alert.id, device_id, shard_n)
    return found or _find(session, alert.id, device_id, None)


def _shard_of(session: Session, alert: Alert, device_id: int) -> int | None:
    """Return the shard of the device's reader; corrections keep the shard numbers of their root."""
    return session.execute(
        text(
            "SELECT s.n FROM device d JOIN shard s ON s.alert_id = :ranged "
            "AND s.lo <= d.reader_id AND d.reader_id < s.hi WHERE d.id = :device"
        ),
        {"ranged": alert.source_alert_id or alert.id, "device": device_id},
    ).scalar_one_or_none()


def _find(session: Session, alert_id: int, device_id: int, shard_n: int | None) -> Found | None:
    row = session.execute(
        text(
            "SELECT shard_n, n, provider, at - 1 AS position, get_byte(states, at - 1) AS byte "
            "FROM batch, LATERAL array_position(device_ids, CAST(:device AS bigint)) AS at "
            "WHERE alert_id = :alert AND (CAST(:shard AS int) IS NULL OR shard_n = :shard) "
            "AND device_ids @> ARRAY[CAST(:device AS bigint)] LIMIT 1"
        ),
        {"alert": alert_id, "device": device_id, "shard": shard_n},
    ).one_or_none()
    if row is None:
        return None
    return Found(row.shard_n, row.n, row.position, row.provider, Delivery.unpack(row.byte))


_REASONS = {
    State.RETRYING: "SELECT why FROM retry WHERE alert_id = :alert AND shard_n = :shard_n "
    "AND n = :n AND position = :position",
    State.BURIED: "SELECT concat_ws(': ', reason, nullif(answer, '')) FROM dead_letter "
    "WHERE alert_id = :alert AND shard_n = :shard_n AND n = :n AND replayed_at IS NULL "
    "AND positions @> ARRAY[CAST(:position AS smallint)] ORDER BY buried_at DESC LIMIT 1",
    State.GONE: "SELECT gone_why FROM device WHERE id = :device",
}
"""Where the reason of a state is kept."""


def _reason(session: Session, alert: Alert, device_id: int, found: Found) -> str | None:
    match found.delivery.state:
        case State.CANCELLED:
            return alert.stop_reason
        case State.EXPIRED:
            return f"The deadline passed at {alert.expires_at.isoformat()}."
        case State.RETRYING | State.BURIED | State.GONE as state:
            return session.execute(
                text(_REASONS[state]),
                {
                    "alert": alert.id,
                    "shard_n": found.shard_n,
                    "n": found.n,
                    "position": found.position,
                    "device": device_id,
                },
            ).scalar_one_or_none()
        case State.PENDING | State.ACCEPTED:
            return None
