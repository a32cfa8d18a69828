"""Closing the open batches of an alert that was stopped, rejected or has passed its deadline."""

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import CLOSED_AS, State, count_states
from service.store.sql_fragments import array_literal, batch_is_open


def close_open_batches(
    session: Session, alert_id: int, to: State, *, provider: str | None = None, limit: int = 200
) -> int:
    """Settle what is open and unleased as `to` (expired or cancelled); returns how many batches.

    Batches under a lease are their holder's: it sees the alert's state at its next write.
    """
    rows = session.execute(
        text(
            f"SELECT shard_n, n, states FROM batch WHERE alert_id = :a AND {batch_is_open()} "
            "AND (lease_token IS NULL OR claimable_at <= now()) "
            "AND (CAST(:p AS text) IS NULL OR provider = :p) "
            "ORDER BY shard_n, n LIMIT :limit FOR UPDATE SKIP LOCKED"
        ),
        {"a": alert_id, "p": provider, "limit": limit},
    ).all()
    if not rows:
        return 0
    states = [bytes(row.states).translate(CLOSED_AS[to]) for row in rows]
    session.execute(
        text(
            "UPDATE batch b SET states = v.states, counts = CAST(v.counts AS int[]), "
            "lease_token = NULL, finished_at = now() "
            "FROM unnest(CAST(:s AS int[]), CAST(:n AS int[]), CAST(:states AS bytea[]), "
            "CAST(:counts AS text[])) AS v(s, n, states, counts) "
            "WHERE b.alert_id = :a AND b.shard_n = v.s AND b.n = v.n"
        ),
        {
            "a": alert_id,
            "s": [row.shard_n for row in rows],
            "n": [row.n for row in rows],
            "states": states,
            "counts": [array_literal(count_states(s)) for s in states],
        },
    )
    return len(rows)
