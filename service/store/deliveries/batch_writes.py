"""Writing how batches stand: their states, and what becomes of their leases.

Only the holder of a lease writes states: every write names its lease token, and a batch that the
write does not touch has been claimed by another process. Times are the database's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState
from service.domain.delivery import State, count_states
from service.store.deliveries.precedence import (
    PRECEDENCE_COLUMNS,
    Precedence,
    precedence_values,
)
from service.store.sql_fragments import EVERY_PROVIDER, REVISION_OF_APPS, array_literal


class LeaseChange(StrEnum):
    """What a write does with the lease."""

    KEEP = "keep"
    """Renew it: the batch is still in work."""
    RELEASE = "release"
    """Give it back; claimable again after `due_s`."""
    END = "end"
    """End it, and the batch: every position is final."""


@dataclass(frozen=True, slots=True)
class BatchWrite:
    """How one batch stands, to be written under its token.

    Every value is complete, so that a write whose result was lost can be repeated. `in_flight`:
    some pushes of it are on their way, though no state says so yet.
    """

    shard_n: int
    n: int
    token: int
    states: bytes
    lease_change: LeaseChange
    progress: Sequence[int] = ()
    in_flight: bool = False
    due_s: float = 0.0
    waits: Sequence[tuple[int, float, str]] = ()
    """Released positions that wait, and those that ended unaccepted: (position, seconds, why)."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write reports: the alert's state, and what changed meanwhile.

    `batches` are those that were still ours, by shard and batch number. `precedence` is what
    breaking alerts ask of this one. `held_providers` are those that must not be used now: a
    disabled app is one of them. While all sending `is_paused`, none may be used.
    """

    state: AlertState
    batches: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    precedence: Precedence = field(default_factory=Precedence)
    held_providers: frozenset[str] = field(default_factory=frozenset)
    is_paused: bool = False
    apps_revision: int = 0


_WRITE = f"""
WITH written AS (
    UPDATE batch b SET states = v.states, counts = CAST(v.counts AS int[]),
        progress = CAST(v.progress AS int[]),
        started_at = coalesce(b.started_at, CASE WHEN v.tried THEN now() END),
        lease_token = CASE v.lease_change WHEN 'keep' THEN b.lease_token END,
        claimable_at = now() + make_interval(secs => v.seconds),
        finished_at = CASE v.lease_change WHEN 'end' THEN now() END
    FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[]), CAST(:tokens AS bigint[]),
        CAST(:states AS bytea[]), CAST(:counts AS text[]), CAST(:progress AS text[]),
        CAST(:tried AS boolean[]), CAST(:lease_changes AS text[]), CAST(:seconds AS float8[]))
        AS v(shard_n, n, token, states, counts, progress, tried, lease_change, seconds)
    WHERE b.alert_id = :a AND b.shard_n = v.shard_n AND b.n = v.n AND b.lease_token = v.token
    RETURNING b.shard_n, b.n
)
SELECT (SELECT state FROM alert WHERE id = :a) AS state,
    (SELECT array_agg(shard_n) FROM written) AS shard_ns, (SELECT array_agg(n) FROM written) AS ns,
    ARRAY(SELECT provider FROM hold
        UNION ALL SELECT name FROM app WHERE disabled_at IS NOT NULL) AS held,
    {REVISION_OF_APPS} AS apps_revision,
{PRECEDENCE_COLUMNS}"""


def write(
    session: Session,
    alert_id: int,
    writes: Sequence[BatchWrite],
    *,
    lease_s: float,
    providers: Sequence[str] = (),
    strangers: bool = False,
) -> WriteResult:
    """Write the states of the batches we hold in one statement, and learn what changed meanwhile.

    A breaking alert has precedence only as far as one of the `providers` could push it, to
    strangers' servers or to all others.
    The waits of batches that are given back replace those on record.
    """
    precedence = precedence_values(providers, lease_s, strangers=strangers)
    values = _columns(alert_id, writes, lease_s) | precedence
    row = session.execute(text(_WRITE), values).one()
    keys = frozenset(zip(row.shard_ns or (), row.ns or (), strict=True))
    own_writes = [each for each in writes if (each.shard_n, each.n) in keys]
    releases = [each for each in own_writes if each.lease_change is not LeaseChange.KEEP]
    _replace_waits(session, alert_id, releases)
    return WriteResult(
        state=AlertState(row.state),
        batches=keys,
        precedence=Precedence(row.breaking_waits, row.breaking_runs),
        held_providers=frozenset(row.held),
        is_paused=EVERY_PROVIDER in row.held,
        apps_revision=row.apps_revision,
    )


def _columns(alert_id: int, writes: Sequence[BatchWrite], lease_s: float) -> dict[str, Any]:
    seconds = {LeaseChange.KEEP: float(lease_s), LeaseChange.END: 0.0}
    return {
        "a": alert_id,
        "shard_ns": [w.shard_n for w in writes],
        "ns": [w.n for w in writes],
        "tokens": [w.token for w in writes],
        "states": [w.states for w in writes],
        "counts": [array_literal(count_states(w.states)) for w in writes],
        "progress": [array_literal(w.progress) for w in writes],
        "tried": [w.in_flight or _was_tried(w.states) for w in writes],
        "lease_changes": [w.lease_change.value for w in writes],
        "seconds": [seconds.get(w.lease_change, w.due_s) for w in writes],
    }


_UNTRIED = bytes((State.PENDING, State.GONE, State.EXPIRED, State.CANCELLED))
"""The bytes of deliveries that came to where they stand without a single attempt."""


def _was_tried(states: bytes) -> bool:
    return bool(states.translate(None, _UNTRIED))


def _replace_waits(session: Session, alert_id: int, writes: Sequence[BatchWrite]) -> None:
    batches = [write for write in writes if any(write.states)]  # an untried one has no waits
    if not batches:
        return
    session.execute(
        text(
            "DELETE FROM retry WHERE alert_id = :a AND (shard_n, n) IN "
            "(SELECT * FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[])))"
        ),
        {"a": alert_id, "shard_ns": [w.shard_n for w in batches], "ns": [w.n for w in batches]},
    )
    waits = [(w.shard_n, w.n, *wait) for w in batches for wait in w.waits]
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
