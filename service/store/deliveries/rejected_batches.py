"""What an alert's rejection by a provider cancelled: a replay takes it too."""

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import STATE_BITS, UNKNOWN_BIT, Delivery, State, count_states, state_of
from service.store.deliveries.dead_letters import ReplayPart
from service.store.sql_fragments import array_literal, count_of

_REOPENED = bytes(
    Delivery(State.PENDING, bool(byte & UNKNOWN_BIT)).pack()
    if byte & STATE_BITS == State.CANCELLED
    else byte
    for byte in range(256)
)
"""A delivery begins again with all its attempts; that it may have arrived stays noted."""

_CANCELLED = f"""
SELECT shard_n, n, provider, states FROM batch JOIN alert ON alert.id = batch.alert_id
WHERE batch.alert_id = :alert AND batch.provider = ANY(alert.rejected_by)
AND (CAST(:provider AS text) IS NULL OR batch.provider = :provider)
AND {count_of(State.CANCELLED)} > 0
AND (batch.finished_at IS NOT NULL OR lease_token IS NULL OR claimable_at <= now())
ORDER BY shard_n, n LIMIT :limit FOR UPDATE OF batch SKIP LOCKED
"""

_REOPEN = """
UPDATE batch b SET states = v.states, counts = CAST(v.counts AS int[]),
    lease_token = NULL, finished_at = NULL,
    expires_at = CASE WHEN b.expires_at > now() THEN b.expires_at END,
    claimable_at = CASE WHEN started_at IS NULL THEN greatest(claimable_at, now()) ELSE now() END
FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[]), CAST(:states AS bytea[]),
    CAST(:counts AS text[])) AS v(shard_n, n, states, counts)
WHERE b.alert_id = :alert AND b.shard_n = v.shard_n AND b.n = v.n
"""


def replay_rejected(
    session: Session, alert_id: int, provider: str | None, *, limit: int
) -> ReplayPart:
    """Return the cancelled deliveries of up to `limit` batches to pending.

    The alert is locked by the caller, and it was not stopped: a rejection alone cancelled them.
    """
    values = {"alert": alert_id, "provider": provider, "limit": limit}
    rows = session.execute(text(_CANCELLED), values).all()
    if not rows:
        return ReplayPart()
    states = [bytes(row.states) for row in rows]
    new_states = [each.translate(_REOPENED) for each in states]
    session.execute(
        text(_REOPEN),
        {
            "alert": alert_id,
            "shard_ns": [row.shard_n for row in rows],
            "ns": [row.n for row in rows],
            "states": new_states,
            "counts": [array_literal(count_states(each)) for each in new_states],
        },
    )
    devices = sum(state_of(byte) is State.CANCELLED for each in states for byte in each)
    return ReplayPart(devices, frozenset(row.provider for row in rows))
