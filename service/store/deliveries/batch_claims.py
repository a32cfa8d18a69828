"""Claiming batches and reading what is to be sent. Times are the database's own.

A claim is a lease: its holder alone writes states, and another process may claim the batch again
when the lease has run out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Engine, text
from sqlmodel import Session

from service.domain.delivery import OPEN_STATES
from service.store.deliveries.lease_tokens import new_token
from service.store.driver_statement import DriverStatement
from service.store.pipeline import Query, run_pipeline
from service.store.readers.device_history import HISTORY
from service.store.sql_fragments import alert_runs, batch_is_open, state_in

DeviceFields = tuple[int, int, str, str, str | None, str | None, str | None, str, int]
"""Position, device id, address, kind, p256dh, auth, vapid_key, locale, history (packed)."""


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch that is ours until its lease ends, with the waits that some positions still have.

    `devices` are the live ones of the positions that are due; a due position without one has no
    live device any more.
    """

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
    devices: Sequence[DeviceFields] = field(default=(), repr=False)


_FREE = f"""SELECT shard_n, n FROM batch
    WHERE alert_id = :a AND provider = :provider AND {batch_is_open()} {{which}}
    AND strangers = ANY(CAST(:strangers AS boolean[]))
    AND claimable_at <= now()
    AND EXISTS (SELECT 1 FROM alert WHERE id = :a AND {alert_runs()}
        AND expires_at = coalesce(CAST(:deadline AS timestamptz), expires_at))
    ORDER BY shard_n, n LIMIT :limit FOR UPDATE SKIP LOCKED"""

_CLAIM = DriverStatement(f"""
WITH fresh AS ({_FREE.format(which="AND started_at IS NULL")}),
begun AS ({_FREE.format(which="AND NOT EXISTS (SELECT 1 FROM fresh)")}),
claimed AS (
    UPDATE batch b SET lease_token = :token,
        claimable_at = now() + make_interval(secs => :lease_s)
    FROM (SELECT * FROM fresh UNION ALL SELECT * FROM begun) AS free
    WHERE b.alert_id = :a AND b.shard_n = free.shard_n AND b.n = free.n
    RETURNING b.shard_n, b.n, b.device_ids, b.states || CAST('' AS bytea) AS states, b.progress,
        b.results, b.expires_at, b.missed, b.headline
)
SELECT c.*, r.tried, r.seconds, r.whys, d.*
FROM claimed c
CROSS JOIN LATERAL (
    SELECT array_agg(position) AS tried, array_agg(why) AS whys,
        array_agg(CAST(extract(epoch FROM due_at - now()) AS float8)) AS seconds,
        coalesce(array_agg(position) FILTER (WHERE due_at > now()), '{{}}') AS waiting
    FROM retry WHERE alert_id = :a AND shard_n = c.shard_n AND n = c.n
) r
CROSS JOIN LATERAL (
    SELECT array_agg(position) AS positions, array_agg(d.id) AS ids,
        array_agg(d.address) AS addresses, array_agg(d.kind) AS kinds,
        array_agg(d.p256dh) AS p256dhs, array_agg(d.auth) AS auths,
        array_agg(d.vapid_key) AS vapid_keys, array_agg(d.locale) AS locales,
        array_agg({HISTORY}) AS histories
    FROM unnest(c.device_ids) WITH ORDINALITY AS t(id, o)
    CROSS JOIN LATERAL (SELECT CAST(t.o - 1 AS int) AS position) p
    JOIN device d ON d.id = t.id AND d.gone_at IS NULL
    WHERE {state_in("get_byte(c.states, position)", OPEN_STATES)}
        AND position <> ALL(r.waiting)
) d""")
"""What waits is not due, whatever its state says; `states` is read whole, once for all positions.

The empty bytes added to them do that: they would be fetched for each position otherwise.
"""

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
    values = _values(alert_id, provider, lease_s, limit, deadline, strangers, new_token(holder))
    return [_read(values, row) for row in _CLAIM.run(session, values)]


def claim_alone(
    engine: Engine,
    alert_id: int,
    provider: str,
    *,
    lease_s: float,
    lock_wait_s: float,
    deadline: datetime,
    strangers: Sequence[bool] = EITHER,
    holder: int | None = None,
) -> ClaimedBatch | None:
    """Take one batch in a transaction of its own, which takes one round trip; None: there is none.

    The rest as `claim`.
    """
    values = _values(alert_id, provider, lease_s, 1, deadline, strangers, new_token(holder))
    [rows] = run_pipeline(engine, [Query(_CLAIM, values)], lock_wait_s)
    return _read(values, rows[0]) if rows else None


def _values(
    alert_id: int,
    provider: str,
    lease_s: float,
    limit: int,
    deadline: datetime | None,
    strangers: Sequence[bool],
    token: int,
) -> dict[str, Any]:
    return {
        "a": alert_id,
        "provider": provider,
        "token": token,
        "lease_s": lease_s,
        "limit": limit,
        "deadline": deadline,
        "strangers": list(strangers),
    }


def _read(values: Mapping[str, Any], row: Any) -> ClaimedBatch:
    retries = list(zip(row.tried or (), row.seconds or (), row.whys or (), strict=True))
    devices = zip(
        *(row.positions or (), row.ids or (), row.addresses or (), row.kinds or ()),
        *(row.p256dhs or (), row.auths or (), row.vapid_keys or (), row.locales or ()),
        row.histories or (),
        strict=True,
    )
    return ClaimedBatch(
        shard_n=row.shard_n,
        n=row.n,
        provider=values["provider"],
        token=values["token"],
        device_ids=row.device_ids,
        states=row.states,
        progress=row.progress,
        expires_at=row.expires_at,
        headline=row.headline,
        waits={position: seconds for position, seconds, _ in retries if seconds > 0},
        reasons={position: why for position, _, why in retries},
        results=row.results,
        missed=row.missed or [],
        devices=list(devices),
    )


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


def load_devices(
    session: Session, alert_id: int, shard_n: int, n: int, positions: Sequence[int]
) -> Sequence[DeviceFields]:
    """Read the live devices of some `positions` of a batch.

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
            "AND t.o - 1 = ANY(CAST(:positions AS int[]))"
        ),
        {"a": alert_id, "shard_n": shard_n, "n": n, "positions": list(positions)},
    ).all()
    return cast("Sequence[DeviceFields]", rows)
