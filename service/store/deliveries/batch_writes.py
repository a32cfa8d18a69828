"""Writing how batches stand: their states, and what becomes of their leases.

Only the holder of a lease writes states: every write names its lease token, and a batch that the
write does not touch has been claimed by another process. Times are the database's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from service.domain.alert import AlertState
from service.domain.delivery import State, count_states
from service.store.deliveries.precedence import (
    PRECEDENCE_COLUMNS,
    Precedence,
    precedence_values,
)
from service.store.driver_statement import DriverStatement
from service.store.pipeline import Query, run_pipeline
from service.store.readers.device_history import acceptances
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
    accepted: Sequence[int] = ()
    """Devices whose acceptance ends what earlier alerts say of them."""


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


_ACCEPTED = """ARRAY(SELECT d.id FROM unnest(CAST(:accepted_shard_ns AS int[]),
        CAST(:accepted_ns AS int[]), CAST(:accepted_ids AS bigint[])) AS d(shard_n, n, id)
        JOIN written USING (shard_n, n))"""
_WRITE = DriverStatement(f"""
WITH written AS (
    UPDATE batch b SET states = v.states, counts = CAST(v.counts AS int[]),
        progress = CAST(v.progress AS int[]),
        started_at = coalesce(b.started_at, CASE WHEN v.tried THEN now() END),
        lease_token = CASE v.lease_change WHEN 'keep' THEN b.lease_token END,
        claimable_at = now() + make_interval(secs => v.seconds),
        finished_at = CASE v.lease_change WHEN 'end' THEN now() END
    FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[]), CAST(:tokens AS bigint[]),
        CAST(:states AS bytea[]), CAST(:counts AS text[]), CAST(:progress AS text[]),
        CAST(:tried AS boolean[]), CAST(:lease_changes AS text[]), CAST(:seconds AS float8[]),
        CAST(:replaces_waits AS boolean[])) AS v(shard_n, n, token, states, counts, progress,
            tried, lease_change, seconds, replaces_waits)
    WHERE b.alert_id = :a AND b.shard_n = v.shard_n AND b.n = v.n AND b.lease_token = v.token
    RETURNING b.shard_n, b.n, v.replaces_waits
),
wait AS (
    SELECT w.* FROM unnest(CAST(:wait_shard_ns AS int[]), CAST(:wait_ns AS int[]),
        CAST(:wait_positions AS int[]), CAST(:wait_seconds AS float8[]),
        CAST(:wait_whys AS text[])) AS w(shard_n, n, position, seconds, why)
    JOIN written USING (shard_n, n)
),
ended_wait AS (
    DELETE FROM retry r USING written WHERE true = ANY(CAST(:replaces_waits AS boolean[]))
        AND r.alert_id = :a AND r.shard_n = written.shard_n
        AND r.n = written.n AND written.replaces_waits
        AND (r.shard_n, r.n, r.position) NOT IN (SELECT shard_n, n, position FROM wait)
),
kept_wait AS (
    INSERT INTO retry (alert_id, shard_n, n, position, due_at, why)
    SELECT :a, shard_n, n, position, now() + make_interval(secs => seconds), why FROM wait
    ON CONFLICT (alert_id, shard_n, n, position)
        DO UPDATE SET due_at = excluded.due_at, why = excluded.why
),
{acceptances(_ACCEPTED)}
SELECT (SELECT state FROM alert WHERE id = :a) AS state,
    (SELECT array_agg(shard_n) FROM written) AS shard_ns, (SELECT array_agg(n) FROM written) AS ns,
    ARRAY(SELECT provider FROM hold
        UNION ALL SELECT name FROM app WHERE disabled_at IS NOT NULL) AS held,
    {REVISION_OF_APPS} AS apps_revision,
{PRECEDENCE_COLUMNS}""")
"""Waits that are over are found by NOT IN, which is hashed. Of a WITH query PostgreSQL expects one
row, so NOT EXISTS compares each with each: 3 s for 4,000 waits, instead of 0.1 s.
"""


@dataclass(frozen=True, slots=True)
class WriteTerms:
    """What a write depends on beside its batches.

    A breaking alert has precedence only as far as one of the `providers` could push it, to
    strangers' servers or to all others.
    """

    lease_s: float
    providers: Sequence[str] = ()
    strangers: bool = False


def write(
    session: Session, alert_id: int, writes: Sequence[BatchWrite], terms: WriteTerms
) -> WriteResult:
    """Write the states of the batches we hold in one statement, and learn what changed meanwhile.

    The waits of batches that are given back replace those on record.
    """
    return _result(_WRITE.run(session, _values(alert_id, writes, terms)))


def write_alone(
    engine: Engine,
    alert_id: int,
    writes: Sequence[BatchWrite],
    terms: WriteTerms,
    lock_wait_s: float,
) -> WriteResult:
    """Do so in a transaction of its own, which takes one round trip."""
    query = Query(_WRITE, _values(alert_id, writes, terms))
    [rows] = run_pipeline(engine, [query], lock_wait_s)
    return _result(rows)


def _result(rows: Sequence[Any]) -> WriteResult:
    [row] = rows
    return WriteResult(
        state=AlertState(row.state),
        batches=frozenset(zip(row.shard_ns or (), row.ns or (), strict=True)),
        precedence=Precedence(row.breaking_waits, row.breaking_runs),
        held_providers=frozenset(row.held),
        is_paused=EVERY_PROVIDER in row.held,
        apps_revision=row.apps_revision,
    )


def _values(alert_id: int, writes: Sequence[BatchWrite], terms: WriteTerms) -> dict[str, Any]:
    seconds = {LeaseChange.KEEP: float(terms.lease_s), LeaseChange.END: 0.0}
    precedence = precedence_values(terms.providers, terms.lease_s, strangers=terms.strangers)
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
        "replaces_waits": [_replaces_waits(w) for w in writes],
        **_columns_of_waits(writes),
        **_columns_of_acceptances(writes),
        **precedence,
    }


def _replaces_waits(write: BatchWrite) -> bool:
    """Whether its waits replace those on record: an untried batch has none."""
    return write.lease_change is not LeaseChange.KEEP and any(write.states)


def _columns_of_waits(writes: Sequence[BatchWrite]) -> dict[str, Any]:
    waits = [(w.shard_n, w.n, *wait) for w in writes if _replaces_waits(w) for wait in w.waits]
    names = ("shard_ns", "ns", "positions", "seconds", "whys")
    return {f"wait_{name}": [wait[n] for wait in waits] for n, name in enumerate(names)}


def _columns_of_acceptances(writes: Sequence[BatchWrite]) -> dict[str, Any]:
    devices = [(w.shard_n, w.n, device_id) for w in writes for device_id in w.accepted]
    names = ("shard_ns", "ns", "ids")
    return {f"accepted_{name}": [each[n] for each in devices] for n, name in enumerate(names)}


_UNTRIED = bytes((State.PENDING, State.GONE, State.EXPIRED, State.CANCELLED))
"""The bytes of deliveries that came to where they stand without a single attempt."""


def _was_tried(states: bytes) -> bool:
    return bool(states.translate(None, _UNTRIED))
