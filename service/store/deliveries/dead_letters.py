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
    """Which dead letters: those that meet every condition that is not None."""

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
class ReplayPart:
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


def _bounded(words: str, limit: int) -> str:
    clean = words.replace("\0", "")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


_MATCHES = """
    (CAST(:ids AS bigint[]) IS NULL OR id = ANY(:ids))
    AND (CAST(:alert AS bigint) IS NULL OR alert_id = :alert)
    AND (CAST(:provider AS text) IS NULL OR provider = :provider)
    AND (CAST(:reason AS text) IS NULL OR reason = :reason)
"""


def _filter_values(filters: Filter) -> dict[str, Any]:
    return {
        "ids": None if filters.ids is None else list(filters.ids),
        "alert": filters.alert_id,
        "provider": filters.provider,
        "reason": filters.reason,
    }


def page(
    session: Session, filters: Filter, cursor: str | None, limit: int, *, replayed: bool = False
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
        _filter_values(filters)
        | {
            "replayed": replayed,
            "at": after and after[0],
            "after_id": after and after[1],
            "limit": limit + 1,
        },
    )
    letters = [DeadLetter(**row) for row in rows.mappings()]
    return paging.cut(letters, limit, lambda last: paging.after_moment(last.buried_at, last.id))


def alerts_with(session: Session, filters: Filter, limit: int) -> list[int]:
    """Return the alerts that have such letters to replay, in the order in which to lock them."""
    rows = session.execute(
        text(
            f"SELECT DISTINCT alert_id FROM dead_letter WHERE {_MATCHES} AND replayed_at IS NULL "
            "ORDER BY alert_id LIMIT :limit"
        ),
        _filter_values(filters) | {"limit": limit},
    )
    return list(rows.scalars())


def replay(
    session: Session, alert_id: int, filters: Filter, *, by: str, batches: int, after: Place
) -> tuple[ReplayPart, Place | None]:
    """Return the buried positions of up to so many batches after a place to pending.

    The alert is locked by the caller. A batch that a worker holds keeps its letters: only the
    holder of a lease may write its states. The second value is where to go on, None at the end.
    """
    letters = _of_next_batches(session, alert_id, filters, batches, after)
    if not letters:
        return ReplayPart(), None
    free = _free(session, alert_id, list(letters))
    devices = 0
    new_states: dict[Place, bytes] = {}
    for place, states in free.items():
        positions = {p for letter in letters[place] for p in letter.positions}
        new_states[place], count = _unbury(states, positions)
        devices += count
    _write(session, alert_id, new_states)
    replayed = [letter for place in new_states for letter in letters[place]]
    _stamp(session, [letter.id for letter in replayed], by)
    last = max(letters)
    return ReplayPart(devices, frozenset(letter.provider for letter in replayed)), last


@dataclass(frozen=True, slots=True)
class _Letter:
    id: int
    provider: str
    positions: list[int]


def _of_next_batches(
    session: Session, alert_id: int, filters: Filter, batches: int, after: Place
) -> Mapping[Place, list[_Letter]]:
    rows = session.execute(
        text(
            "SELECT id, shard_n, n, provider, positions FROM dead_letter WHERE (shard_n, n) IN ("
            f"SELECT DISTINCT shard_n, n FROM dead_letter WHERE {_MATCHES} "
            "AND replayed_at IS NULL AND (shard_n, n) > (:after_shard, :after_n) "
            "ORDER BY shard_n, n LIMIT :batches) "
            f"AND {_MATCHES} AND replayed_at IS NULL FOR UPDATE SKIP LOCKED"
        ),
        _filter_values(filters)
        | {"alert": alert_id, "after_shard": after[0], "after_n": after[1], "batches": batches},
    )
    letters: dict[Place, list[_Letter]] = defaultdict(list)
    for row in rows:
        letters[row.shard_n, row.n].append(_Letter(row.id, row.provider, row.positions))
    return letters


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
    new_states = bytearray(states)
    count = 0
    for position in positions:
        old = Delivery.unpack(states[position])
        if old.state is State.BURIED:
            new_states[position] = Delivery(State.PENDING, old.unknown).pack()
            count += 1
    return bytes(new_states), count


def _write(session: Session, alert_id: int, states: Mapping[Place, bytes]) -> None:
    session.execute(
        text(
            "UPDATE batch b SET states = v.states, counts = CAST(v.counts AS int[]), "
            "lease_token = NULL, finished_at = NULL, claimable_at = now(), "
            "expires_at = CASE WHEN b.expires_at > now() THEN b.expires_at END "
            "FROM unnest(CAST(:shard_ns AS int[]), CAST(:ns AS int[]), CAST(:states AS bytea[]), "
            "CAST(:counts AS text[])) AS v(shard_n, n, states, counts) "
            "WHERE b.alert_id = :alert AND b.shard_n = v.shard_n AND b.n = v.n"
        ),
        {
            "alert": alert_id,
            "shard_ns": [shard_n for shard_n, _ in states],
            "ns": [n for _, n in states],
            "states": list(states.values()),
            "counts": [array_literal(count_states(each)) for each in states.values()],
        },
    )


def _stamp(session: Session, letter_ids: Sequence[int], by: str) -> None:
    session.execute(
        text("UPDATE dead_letter SET replayed_at = now(), replayed_by = :by WHERE id = ANY(:ids)"),
        {"ids": list(letter_ids), "by": by},
    )
