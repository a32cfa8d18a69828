"""Dead letters: deliveries given up on, one row for a batch, a reason and an answer.

A person reads them, mends the cause and replays them: the deliveries go back to pending, under
the same delivery ids, and the row keeps who did that and when.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import Delivery, State, count_states
from service.store import paging
from service.store.schema import new_id
from service.store.sql_fragments import array_literal

MAX_REASON = 300
MAX_ANSWER = 500
Place = tuple[int, int]
"""A batch of an alert: its shard's number and its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which dead letters: those that meet everything that is given."""

    ids: tuple[int, ...] | None = None
    alert_id: int | None = None
    provider: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What a person reads of some deliveries that were given up together."""

    id: int
    alert_id: int
    provider: str
    reason: str
    answer: str
    devices: int
    buried_at: datetime
    replayed_at: datetime | None = None
    replayed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What a replay gave back to the senders."""

    devices: int = 0
    providers: frozenset[str] = frozenset()


_JOIN = """
UPDATE dead_letter SET positions = positions || ARRAY(
    SELECT unnest(CAST(:positions AS smallint[])) EXCEPT SELECT unnest(positions))
WHERE alert_id = :alert AND shard_n = :shard_n AND n = :n AND reason = :reason
AND answer = :answer AND replayed_at IS NULL RETURNING id
"""
_ADD = """
INSERT INTO dead_letter (id, alert_id, shard_n, n, provider, reason, answer, positions)
VALUES (:id, :alert, :shard_n, :n, :provider, :reason, :answer, CAST(:positions AS smallint[]))
"""


def bury(
    session: Session,
    alert_id: int,
    shard_n: int,
    n: int,
    provider: str,
    reason: str,
    answer: str,
    positions: Sequence[int],
) -> None:
    """Keep why some positions of a batch were given up; the same reason and answer share a row.

    The caller holds the batch's lease, so nobody else writes its dead letters meanwhile; said
    twice, because the first answer was lost, it counts once.
    """
    values = {
        "alert": alert_id,
        "shard_n": shard_n,
        "n": n,
        "provider": provider,
        "reason": _bounded(reason, MAX_REASON),
        "answer": _bounded(answer, MAX_ANSWER),
        "positions": list(positions),
    }
    if session.execute(text(_JOIN), values).first() is None:
        session.execute(text(_ADD), values | {"id": new_id()})


def _bounded(said: str, most: int) -> str:
    clean = said.replace("\0", "")
    return clean if len(clean) <= most else clean[: most - 1] + "…"


_MATCHES = """
    (CAST(:ids AS bigint[]) IS NULL OR id = ANY(:ids))
    AND (CAST(:alert AS bigint) IS NULL OR alert_id = :alert)
    AND (CAST(:provider AS text) IS NULL OR provider = :provider)
    AND (CAST(:reason AS text) IS NULL OR reason = :reason)
"""


def _wanted(which: Filter) -> dict[str, Any]:
    return {
        "ids": None if which.ids is None else list(which.ids),
        "alert": which.alert_id,
        "provider": which.provider,
        "reason": which.reason,
    }


def page(
    session: Session, which: Filter, cursor: str | None, limit: int, *, replayed: bool = False
) -> paging.Page[DeadLetter]:
    """Return the newest dead letters, those that were replayed only when asked for."""
    after = paging.read_moment(cursor)
    rows = session.execute(
        text(
            "SELECT id, alert_id, provider, reason, answer, cardinality(positions) AS devices, "
            f"buried_at, replayed_at, replayed_by FROM dead_letter WHERE {_MATCHES} "
            "AND (replayed_at IS NOT NULL) = :replayed AND (CAST(:at AS timestamptz) IS NULL "
            "OR (buried_at, id) < (CAST(:at AS timestamptz), CAST(:after_id AS bigint))) "
            "ORDER BY buried_at DESC, id DESC LIMIT :limit"
        ),
        _wanted(which)
        | {
            "replayed": replayed,
            "at": after and after[0],
            "after_id": after and after[1],
            "limit": limit + 1,
        },
    )
    found = [DeadLetter(**row) for row in rows.mappings()]
    return paging.cut(found, limit, lambda one: paging.after_moment(one.buried_at, one.id))


def alerts_with(session: Session, which: Filter, limit: int) -> list[int]:
    """Return the alerts that have such letters to replay, in the order in which to lock them."""
    rows = session.execute(
        text(
            f"SELECT DISTINCT alert_id FROM dead_letter WHERE {_MATCHES} AND replayed_at IS NULL "
            "ORDER BY alert_id LIMIT :limit"
        ),
        _wanted(which) | {"limit": limit},
    )
    return list(rows.scalars())


def replay(
    session: Session, alert_id: int, which: Filter, *, by: str, batches: int, after: Place
) -> tuple[Returned, Place | None]:
    """Return the buried positions of up to so many batches after a place to pending.

    The alert is locked by the caller. A batch that a worker holds keeps its letters: only the
    holder of a lease may write its states. The second value is where to go on, None at the end.
    """
    letters = _of_next_batches(session, alert_id, which, batches, after)
    if not letters:
        return Returned(), None
    free = _free(session, alert_id, list(letters))
    devices = 0
    written: dict[Place, bytes] = {}
    for place, states in free.items():
        positions = {p for letter in letters[place] for p in letter.positions}
        written[place], changed = _unbury(states, positions)
        devices += changed
    _write(session, alert_id, written)
    done = [letter for place in written for letter in letters[place]]
    _stamp(session, [letter.id for letter in done], by)
    last = max(letters)
    return Returned(devices, frozenset(letter.provider for letter in done)), last


@dataclass(frozen=True, slots=True)
class _Letter:
    id: int
    provider: str
    positions: list[int]


def _of_next_batches(
    session: Session, alert_id: int, which: Filter, batches: int, after: Place
) -> Mapping[Place, list[_Letter]]:
    rows = session.execute(
        text(
            "SELECT id, shard_n, n, provider, positions FROM dead_letter WHERE (shard_n, n) IN ("
            f"SELECT DISTINCT shard_n, n FROM dead_letter WHERE {_MATCHES} "
            "AND replayed_at IS NULL AND (shard_n, n) > (:after_shard, :after_n) "
            "ORDER BY shard_n, n LIMIT :batches) "
            f"AND {_MATCHES} AND replayed_at IS NULL FOR UPDATE SKIP LOCKED"
        ),
        _wanted(which)
        | {"alert": alert_id, "after_shard": after[0], "after_n": after[1], "batches": batches},
    )
    found: dict[Place, list[_Letter]] = defaultdict(list)
    for row in rows:
        found[row.shard_n, row.n].append(_Letter(row.id, row.provider, row.positions))
    return found


def _free(session: Session, alert_id: int, places: Sequence[Place]) -> dict[Place, bytes]:
    rows = session.execute(
        text(
            "SELECT shard_n, n, states FROM batch WHERE alert_id = :alert AND (shard_n, n) IN "
            "(SELECT * FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[]))) "
            "AND (finished_at IS NOT NULL OR lease_token IS NULL OR claimable_at <= now()) "
            "FOR UPDATE SKIP LOCKED"
        ),
        {"alert": alert_id, "shard_ns": [p[0] for p in places], "ns": [p[1] for p in places]},
    )
    return {(row.shard_n, row.n): bytes(row.states) for row in rows}


def _unbury(states: bytes, positions: set[int]) -> tuple[bytes, int]:
    """Give the buried ones all their attempts again; that one may have arrived stays noted."""
    changed = bytearray(states)
    count = 0
    for position in positions:
        old = Delivery.unpack(states[position])
        if old.state is State.BURIED:
            changed[position] = Delivery(State.PENDING, old.unknown).pack()
            count += 1
    return bytes(changed), count


def _write(session: Session, alert_id: int, written: Mapping[Place, bytes]) -> None:
    session.execute(
        text(
            "UPDATE batch b SET states = v.states, counts = CAST(v.counts AS int[]), "
            "lease_token = NULL, finished_at = NULL, claimable_at = now() "
            "FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[]), CAST(:states AS bytea[]), "
            "CAST(:counts AS text[])) AS v(shard_n, n, states, counts) "
            "WHERE b.alert_id = :alert AND b.shard_n = v.shard_n AND b.n = v.n"
        ),
        {
            "alert": alert_id,
            "shard_ns": [shard_n for shard_n, _ in written],
            "ns": [n for _, n in written],
            "states": list(written.values()),
            "counts": [array_literal(count_states(states)) for states in written.values()],
        },
    )


def _stamp(session: Session, letter_ids: Sequence[int], by: str) -> None:
    session.execute(
        text("UPDATE dead_letter SET replayed_at = now(), replayed_by = :by WHERE id = ANY(:ids)"),
        {"ids": list(letter_ids), "by": by},
    )
