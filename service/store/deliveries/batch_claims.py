"""Claiming batches and reading what is to be sent. Times are the database's own.

A claim is a lease: its holder alone writes states, and another process may claim the batch again
when the lease has run out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, text
from sqlmodel import Session

from service.store.deliveries.lease_tokens import new_token
from service.store.readers.device_history import HISTORY
from service.store.sql_fragments import alert_runs, batch_is_open


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch that is ours until its lease ends, with the waits that some positions still have."""

    shard_n: int
    n: int
    provider: str
    token: int
    device_ids: list[int]
    states: bytes
    progress: list[int]
    waits: dict[int, float]
    """Seconds until a retrying position is due; those not named are due now."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Why positions that were tried are not accepted, as far as that is on record."""
    results: bool = True
    """Whether what its devices report is counted."""
    expires_at: datetime | None = None
    """A deadline of its own, before the alert's."""
    missed: list[int] = field(default_factory=list)
    """The alerts that a digest tells its readers."""
    headline: int | None = None
    """Which of an alert's two headlines it has, 0 or 1."""


_CLAIM = f"""
WITH free AS (
    SELECT shard_n, n FROM batch
    WHERE alert_id = :a AND provider = :provider AND {batch_is_open()} {{which}}
    AND strangers = ANY(:strangers)
    AND claimable_at <= now()
    AND EXISTS (SELECT 1 FROM alert WHERE id = :a AND {alert_runs()}
        AND expires_at = coalesce(CAST(:deadline AS timestamptz), expires_at))
    ORDER BY shard_n, n LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE batch b SET lease_token = :token, claimable_at = now() + make_interval(secs => :lease_s)
FROM free WHERE b.alert_id = :a AND b.shard_n = free.shard_n AND b.n = free.n
RETURNING b.shard_n, b.n, b.device_ids, b.states, b.progress, b.results, b.expires_at, b.missed,
    b.headline
"""
_FRESH = "AND started_at IS NULL"

EITHER = (False, True)


def claim(
    session: Session,
    alert_id: int,
    provider: str,
    *,
    lease_s: float,
    limit: int = 1,
    deadline: datetime | None = None,
    strangers: Sequence[bool] = EITHER,
    holder: int | None = None,
) -> list[ClaimedBatch]:
    """Take up to `limit` batches: fresh ones first, so that retries never starve first attempts.

    Takes none when the alert has another `deadline` by now: a replay must not expire by the old
    one. `strangers`: batches of strangers' servers, of others, or of either. `holder`: the number
    of the process that claims.
    """
    token = new_token(holder)
    values = {
        "a": alert_id,
        "provider": provider,
        "token": token,
        "lease_s": lease_s,
        "limit": limit,
        "deadline": deadline,
        "strangers": list(strangers),
    }
    rows = session.execute(text(_CLAIM.format(which=_FRESH)), values).all()
    if not rows:
        rows = session.execute(text(_CLAIM.format(which="")), values).all()
    return [_read(session, alert_id, provider, token, row) for row in rows]


def _read(
    session: Session, alert_id: int, provider: str, token: int, row: Row[Any]
) -> ClaimedBatch:
    retries = _retries(session, alert_id, row.shard_n, row.n) if any(row.states) else []
    return ClaimedBatch(
        shard_n=row.shard_n,
        n=row.n,
        provider=provider,
        token=token,
        device_ids=row.device_ids,
        states=bytes(row.states),
        progress=row.progress,
        expires_at=row.expires_at,
        headline=row.headline,
        waits={retry.position: retry.seconds for retry in retries if retry.seconds > 0},
        reasons={retry.position: retry.why for retry in retries},
        results=row.results,
        missed=row.missed or [],
    )


def _retries(session: Session, alert_id: int, shard_n: int, n: int) -> Sequence[Row[Any]]:
    """Return the positions that were tried in vain: seconds until they are due, and why."""
    return session.execute(
        text(
            "SELECT position, extract(epoch FROM due_at - now())::float8 AS seconds, why "
            "FROM retry WHERE alert_id = :a AND shard_n = :shard_n AND n = :n"
        ),
        {"a": alert_id, "shard_n": shard_n, "n": n},
    ).all()


def has_claimable(
    session: Session, alert_id: int, providers: Sequence[str], strangers: Sequence[bool] = EITHER
) -> bool:
    """Whether a batch of these providers could be claimed now; `strangers` as for `claim`."""
    claimable = session.execute(
        text(
            f"SELECT EXISTS (SELECT 1 FROM batch WHERE alert_id = :a AND {batch_is_open()} "
            "AND provider = ANY(:providers) AND strangers = ANY(:strangers) "
            "AND claimable_at <= now())"
        ),
        {"a": alert_id, "providers": list(providers), "strangers": list(strangers)},
    ).scalar_one()
    return bool(claimable)


DeviceFields = tuple[int, int, str, str, str | None, str | None, str | None, str, int]
"""Position, device id, address, kind, p256dh, auth, vapid_key, locale, history (packed)."""


def load_devices(
    session: Session, alert_id: int, shard_n: int, n: int, positions: Sequence[int] | None = None
) -> Sequence[DeviceFields]:
    """Read the live devices of a batch, of some `positions` or of all.

    A position without a row has no live device any more.
    """
    rows = session.execute(
        text(
            "SELECT (t.o - 1)::int, d.id, d.address, d.kind, d.p256dh, d.auth, d.vapid_key, "
            "d.locale, "
            f"{HISTORY} "
            "FROM batch b CROSS JOIN LATERAL unnest(b.device_ids) WITH ORDINALITY AS t(id, o) "
            "JOIN device d ON d.id = t.id AND d.gone_at IS NULL "
            "WHERE b.alert_id = :a AND b.shard_n = :shard_n AND b.n = :n "
            "AND (CAST(:positions AS int[]) IS NULL OR t.o - 1 = ANY(CAST(:positions AS int[])))"
        ),
        {"a": alert_id, "shard_n": shard_n, "n": n, "positions": positions},
    ).all()
    return cast("Sequence[DeviceFields]", rows)
