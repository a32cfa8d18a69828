"""Batches, the ledger: claim, load, write, give back. Times are the database's own.

Only the holder of a lease writes states: every write names its lease token, and a batch that the
write does not find is somebody else's by now.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState
from service.domain.delivery import CLOSED_AS, State, count_states
from service.store.deliveries import precedence
from service.store.deliveries.precedence import Ahead
from service.store.schema import ID_LIMIT
from service.store.sql_fragments import alert_runs, array_literal, batch_is_open, count_of


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch in our hands until its lease ends, with the waits that some positions still have."""

    shard_n: int
    n: int
    provider: str
    token: int
    device_ids: list[int]
    states: bytes
    progress: list[int]
    waits: dict[int, float]
    """Seconds until a retrying position is due; those not named are due now."""


class Fate(StrEnum):
    """What a write does with the lease."""

    KEEP = "keep"
    """Renew it: the batch is still in work."""
    RELEASE = "release"
    """Give it back; claimable again after `due_s`."""
    DONE = "done"
    """Every position is final."""


@dataclass(frozen=True, slots=True)
class Write:
    """How one batch stands, to be written under its token.

    Everything is said in full, so that a write whose answer was lost can be repeated. `flying`:
    some of it is on its way, though no state says so yet.
    """

    shard_n: int
    n: int
    token: int
    states: bytes
    fate: Fate
    progress: Sequence[int] = ()
    flying: bool = False
    due_s: float = 0.0
    waits: Sequence[tuple[int, float, str]] = ()
    """Released positions that wait: (position, seconds, why)."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a write found: the alert's state, which batches were still ours, what goes ahead of us.

    `held` are the providers that nobody may use now.
    """

    state: AlertState
    ours: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    ahead: Ahead = field(default_factory=Ahead)
    held: frozenset[str] = field(default_factory=frozenset)


_CLAIM = f"""
WITH free AS (
    SELECT shard_n, n FROM batch
    WHERE alert_id = :a AND provider = :provider AND {batch_is_open()} {{which}}
    AND claimable_at <= now()
    AND EXISTS (SELECT 1 FROM alert WHERE id = :a AND {alert_runs()}
        AND expires_at = coalesce(CAST(:deadline AS timestamptz), expires_at))
    ORDER BY shard_n, n LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE batch b SET lease_token = :token, claimable_at = now() + make_interval(secs => :lease_s)
FROM free WHERE b.alert_id = :a AND b.shard_n = free.shard_n AND b.n = free.n
RETURNING b.shard_n, b.n, b.device_ids, b.states, b.progress
"""
_FRESH = "AND started_at IS NULL"


def claim(
    session: Session,
    alert_id: int,
    provider: str,
    *,
    lease_s: float,
    most: int = 1,
    deadline: datetime | None = None,
) -> list[Claimed]:
    """Take up to `most` batches: fresh ones first, so that retries never starve first attempts.

    None when the alert has another `deadline` by now: a replay is not to expire by the old one.
    """
    token = secrets.randbelow(ID_LIMIT)
    values = {
        "a": alert_id,
        "provider": provider,
        "token": token,
        "lease_s": lease_s,
        "most": most,
        "deadline": deadline,
    }
    rows = session.execute(text(_CLAIM.format(which=_FRESH)), values).all()
    if not rows:
        rows = session.execute(text(_CLAIM.format(which="")), values).all()
    return [
        Claimed(
            shard_n=row.shard_n,
            n=row.n,
            provider=provider,
            token=token,
            device_ids=row.device_ids,
            states=bytes(row.states),
            progress=row.progress,
            waits=_waits(session, alert_id, row.shard_n, row.n) if any(row.states) else {},
        )
        for row in rows
    ]


def _waits(session: Session, alert_id: int, shard_n: int, n: int) -> dict[int, float]:
    rows = session.execute(
        text(
            "SELECT position, extract(epoch FROM due_at - now())::float8 FROM retry "
            "WHERE alert_id = :a AND shard_n = :shard_n AND n = :n AND due_at > now()"
        ),
        {"a": alert_id, "shard_n": shard_n, "n": n},
    )
    return {int(position): float(seconds) for position, seconds in rows}


Loaded = tuple[int, int, str, str, str | None, str | None, str]


def load(
    session: Session, alert_id: int, shard_n: int, n: int, positions: Sequence[int] | None = None
) -> Sequence[Loaded]:
    """Read a batch's live devices: (position, id, address, kind, p256dh, auth, locale).

    Of all `positions` unless some are named. One without a row has no live device any more.
    """
    rows = session.execute(
        text(
            "SELECT (t.o - 1)::int, d.id, d.address, d.kind, d.p256dh, d.auth, d.locale "
            "FROM batch b CROSS JOIN LATERAL unnest(b.device_ids) WITH ORDINALITY AS t(id, o) "
            "JOIN device d ON d.id = t.id AND d.gone_at IS NULL "
            "WHERE b.alert_id = :a AND b.shard_n = :shard_n AND b.n = :n "
            "AND (CAST(:positions AS int[]) IS NULL OR t.o - 1 = ANY(CAST(:positions AS int[])))"
        ),
        {"a": alert_id, "shard_n": shard_n, "n": n, "positions": positions},
    ).all()
    return cast("Sequence[Loaded]", rows)


_WRITE = f"""
WITH written AS (
    UPDATE batch b SET states = v.states, counts = CAST(v.counts AS int[]),
        progress = CAST(v.progress AS int[]),
        started_at = coalesce(b.started_at, CASE WHEN v.tried THEN now() END),
        lease_token = CASE v.fate WHEN 'keep' THEN b.lease_token END,
        claimable_at = now() + make_interval(secs => v.seconds),
        finished_at = CASE v.fate WHEN 'done' THEN now() END
    FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[]), CAST(:tokens AS bigint[]),
        CAST(:states AS bytea[]), CAST(:counts AS text[]), CAST(:progress AS text[]),
        CAST(:tried AS boolean[]), CAST(:fates AS text[]), CAST(:seconds AS float8[]))
        AS v(shard_n, n, token, states, counts, progress, tried, fate, seconds)
    WHERE b.alert_id = :a AND b.shard_n = v.shard_n AND b.n = v.n AND b.lease_token = v.token
    RETURNING b.shard_n, b.n
)
SELECT (SELECT state FROM alert WHERE id = :a) AS state,
    (SELECT array_agg(shard_n) FROM written) AS shard_ns, (SELECT array_agg(n) FROM written) AS ns,
    ARRAY(SELECT provider FROM hold) AS held,
{precedence.COLUMNS}"""


def write(
    session: Session,
    alert_id: int,
    writes: Sequence[Write],
    *,
    lease_s: float,
    providers: Sequence[str] = (),
) -> Written:
    """Write the states of the batches we hold in one statement, and learn what changed meanwhile.

    What is `ahead` of us counts only as far as one of the `providers` could push it.
    A KEEP renews the lease. The waits of released batches replace those that stood there.
    """
    values = _columns(alert_id, writes, lease_s) | precedence.values(providers, lease_s)
    row = session.execute(text(_WRITE), values).one()
    ours = frozenset(zip(row.shard_ns or (), row.ns or (), strict=True))
    released = [w for w in writes if w.fate is not Fate.KEEP and (w.shard_n, w.n) in ours]
    _keep_waits(session, alert_id, released)
    ahead = Ahead(row.breaking_waits, row.breaking_runs)
    return Written(AlertState(row.state), ours, ahead, frozenset(row.held))


def _columns(alert_id: int, writes: Sequence[Write], lease_s: float) -> dict[str, Any]:
    seconds = {Fate.KEEP: float(lease_s), Fate.DONE: 0.0}
    return {
        "a": alert_id,
        "shard_ns": [w.shard_n for w in writes],
        "ns": [w.n for w in writes],
        "tokens": [w.token for w in writes],
        "states": [w.states for w in writes],
        "counts": [array_literal(count_states(w.states)) for w in writes],
        "progress": [array_literal(w.progress) for w in writes],
        "tried": [w.flying or _was_tried(w.states) for w in writes],
        "fates": [w.fate.value for w in writes],
        "seconds": [seconds.get(w.fate, w.due_s) for w in writes],
    }


_UNTRIED = bytes((State.PENDING, State.GONE, State.EXPIRED, State.CANCELLED))
"""The bytes of deliveries that came to where they stand without a single attempt."""


def _was_tried(states: bytes) -> bool:
    return bool(states.translate(None, _UNTRIED))


def _keep_waits(session: Session, alert_id: int, released: Sequence[Write]) -> None:
    tried = [w for w in released if any(w.states)]
    if not tried:
        return
    session.execute(
        text(
            "DELETE FROM retry WHERE alert_id = :a AND (shard_n, n) IN "
            "(SELECT * FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[])))"
        ),
        {"a": alert_id, "shard_ns": [w.shard_n for w in tried], "ns": [w.n for w in tried]},
    )
    waits = [(w.shard_n, w.n, *wait) for w in tried for wait in w.waits]
    if not waits:
        return
    session.execute(
        text(
            "INSERT INTO retry (alert_id, shard_n, n, position, due_at, why) "
            "SELECT :a, s, n, p, now() + make_interval(secs => seconds), why FROM unnest("
            "CAST(:s AS int[]), CAST(:n AS int[]), CAST(:p AS int[]), CAST(:seconds AS float8[]), "
            "CAST(:why AS text[])) AS t(s, n, p, seconds, why)"
        ),
        dict(
            zip(("s", "n", "p", "seconds", "why"), map(list, zip(*waits, strict=True)), strict=True)
        )
        | {"a": alert_id},
    )


def accepted_by(session: Session, alert_id: int, provider: str) -> bool:
    """Whether this provider has accepted anything of this alert: the guard of doubtful evidence."""
    found = session.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM batch WHERE alert_id = :a AND provider = :p "
            f"AND {count_of(State.ACCEPTED)} > 0)"
        ),
        {"a": alert_id, "p": provider},
    ).scalar_one()
    return bool(found)


def claimable(session: Session, alert_id: int, providers: Sequence[str]) -> bool:
    """Whether a batch of these providers could be claimed now."""
    found = session.execute(
        text(
            f"SELECT EXISTS (SELECT 1 FROM batch WHERE alert_id = :a AND {batch_is_open()} "
            "AND provider = ANY(:providers) AND claimable_at <= now())"
        ),
        {"a": alert_id, "providers": list(providers)},
    ).scalar_one()
    return bool(found)


def close_open(
    session: Session, alert_id: int, to: State, *, provider: str | None = None, most: int = 200
) -> int:
    """Settle what is open and unleased as `to` (expired or cancelled); returns how many batches.

    Batches under a lease are their holder's: it sees the alert's state at its next write.
    """
    rows = session.execute(
        text(
            f"SELECT shard_n, n, states FROM batch WHERE alert_id = :a AND {batch_is_open()} "
            "AND (lease_token IS NULL OR claimable_at <= now()) "
            "AND (CAST(:p AS text) IS NULL OR provider = :p) "
            "ORDER BY shard_n, n LIMIT :most FOR UPDATE SKIP LOCKED"
        ),
        {"a": alert_id, "p": provider, "most": most},
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
