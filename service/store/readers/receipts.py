"""What devices said themselves: two bitmaps a batch, who showed the push, then who opened it.

Beside them stands how many opened it in which minute, counted when a receipt comes in.

Receipts come in a rush, so those of one batch become one write, whatever their number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.receipt import UNCOUNTED
from service.domain.results.alert_result import add_openings
from service.store.sql_fragments import due_at, known_of


class Mark(StrEnum):
    """What a device may say."""

    SHOWN = "shown"
    OPENED = "opened"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many devices said so."""

    shown: int = 0
    opened: int = 0


NOTHING = Counts()
MarkedPlace = tuple[int, int, int, int, Mark]
"""A delivery - alert id, shard, batch, position - and what its device said."""
Place = tuple[int, int, int]
"""A batch: alert id, shard, number."""
_Row = tuple[bytes, int, list[int], int]
"""A batch's bitmaps, its deliveries, its openings, and the minute since its alert was due.

Where the alert leaves at a local time, it is the minute since the batch has left.
"""
Marks = dict[Place, tuple[set[int], set[int]]]
"""Positions by batch: those that showed the push, those that opened it."""

_KEYS = """unnest(CAST(:alerts AS bigint[]), CAST(:shards AS int[]), CAST(:numbers AS int[]))
    AS key(alert_id, shard_n, n)"""

_ENSURE = text("""
    INSERT INTO receipt (alert_id, shard_n, n, marks)
    SELECT alert_id, shard_n, n, decode(repeat('00', (length(states) + 7) / 8 * 2), 'hex')
    FROM unnest(CAST(:alerts AS bigint[]), CAST(:shards AS int[]), CAST(:numbers AS int[]),
        CAST(:lowest AS int[])) AS key(alert_id, shard_n, n, lowest)
    JOIN batch USING (alert_id, shard_n, n)
    WHERE lowest < length(states) AND NOT EXISTS (
        SELECT 1 FROM receipt WHERE (receipt.alert_id, receipt.shard_n, receipt.n)
            = (key.alert_id, key.shard_n, key.n))
    ORDER BY alert_id, shard_n, n
    ON CONFLICT DO NOTHING""")

_LOCK = text(f"""
    SELECT receipt.alert_id, receipt.shard_n, receipt.n, marks, length(batch.states), openings,
        floor(extract(epoch FROM now() - CASE WHEN alert.local_release IS NULL
            THEN {due_at("alert")} ELSE coalesce(batch.started_at, now()) END) / 60)::int
    FROM {_KEYS} JOIN receipt USING (alert_id, shard_n, n) JOIN batch USING (alert_id, shard_n, n)
    JOIN alert ON alert.id = receipt.alert_id
    ORDER BY receipt.alert_id, receipt.shard_n, receipt.n FOR NO KEY UPDATE OF receipt""")

_WRITE = text("""
    UPDATE receipt SET marks = fresh.marks, openings = fresh.openings::int[]
    FROM unnest(CAST(:alerts AS bigint[]), CAST(:shards AS int[]), CAST(:numbers AS int[]),
        CAST(:marks AS bytea[]), CAST(:openings AS text[]))
        AS fresh(alert_id, shard_n, n, marks, openings)
    WHERE (receipt.alert_id, receipt.shard_n, receipt.n)
        = (fresh.alert_id, fresh.shard_n, fresh.n)""")


def merge(receipts: Iterable[MarkedPlace]) -> Marks:
    """Return receipts by batch; a repeated one counts once, an uncounted one not at all."""
    marks_by_batch: Marks = {}
    for alert_id, shard_n, n, position, mark in receipts:
        if position & UNCOUNTED:
            continue
        shown_and_opened = marks_by_batch.setdefault((alert_id, shard_n, n), (set(), set()))
        shown_and_opened[mark is not Mark.SHOWN].add(position)
    return marks_by_batch


def add_mark(
    session: Session, alert_id: int, shard_n: int, n: int, position: int, mark: Mark
) -> None:
    """Note what the device at this position said; again is the same as once."""
    add_marks(session, merge([(alert_id, shard_n, n, position, mark)]))


def add_marks(session: Session, marks_by_batch: Marks) -> None:
    """Note all that devices said; again is the same as once.

    A batch that is kept no more takes no marks, nor does a position that it does not have. Rows
    are made, and then locked, in the order of their keys, so no two transactions wait for each
    other: who makes rows holds no lock yet, and nobody sees a new row before it is committed.
    """
    if not marks_by_batch:
        return
    make_rows(session, marks_by_batch)
    rows = _lock(session, columns_of(sorted(marks_by_batch)))
    changes = [
        (key, marks, add_openings(openings, minute, opened_in(marks) - opened_in(old)))
        for key, (old, deliveries, openings, minute) in rows.items()
        if (marks := with_marks(old, deliveries, *marks_by_batch[key])) != old
    ]
    if changes:
        values: dict[str, Any] = dict(columns_of([key for key, _, _ in changes]))
        values["marks"] = [marks for _, marks, _ in changes]
        values["openings"] = [array(openings) for _, _, openings in changes]
        session.execute(_WRITE, values)


def make_rows(session: Session, marks_by_batch: Marks) -> None:
    """Make the rows that batches lack, empty."""
    keys = sorted(marks_by_batch)
    lowest = (min(shown | opened) for shown, opened in map(marks_by_batch.__getitem__, keys))
    session.execute(_ENSURE, {**columns_of(keys), "lowest": array(lowest)})


def opened_in(marks: bytes) -> int:
    """Count the devices that opened the push, in the two bitmaps of a batch."""
    return int.from_bytes(marks[len(marks) // 2 :]).bit_count()


def with_marks(marks: bytes, deliveries: int, shown: Iterable[int], opened: Iterable[int]) -> bytes:
    """Return the two bitmaps of so many deliveries with these bits set, positions beyond left out.

    Bits are numbered as Postgres numbers them: the lowest of the first byte is 0.
    """
    half = len(marks) * 4
    value = int.from_bytes(marks, "little")
    for position in shown:
        if position < deliveries:
            value |= 1 << position
    for position in opened:
        if position < deliveries:
            value |= 1 << (position + half)
    return value.to_bytes(len(marks), "little")


def counts(session: Session, alert_ids: Sequence[int]) -> dict[int, Counts]:
    """Count what was said of each alert."""
    rows = session.execute(
        text(
            "SELECT alert_id, sum(bit_count(substring(marks FROM 1 FOR length(marks) / 2))), "
            "sum(bit_count(substring(marks FROM length(marks) / 2 + 1))) "
            "FROM receipt WHERE alert_id = ANY(:ids) GROUP BY alert_id"
        ),
        {"ids": list(alert_ids)},
    )
    return {alert_id: Counts(int(shown), int(opened)) for alert_id, shown, opened in rows}


def counts_by_app(
    session: Session, alert_ids: Sequence[int]
) -> dict[tuple[int, str], tuple[int, int, int]]:
    """Count who showed and who opened each alert, and of how many we know, by alert and app."""
    rows = session.execute(
        text(
            "SELECT alert_id, provider, coalesce("
            "sum(bit_count(substring(marks FROM 1 FOR length(marks) / 2))), 0)::int AS shown, "
            "coalesce(sum(bit_count(substring(marks FROM length(marks) / 2 + 1))), 0)::int "
            f"AS opened, {known_of()}::int AS known "
            "FROM batch LEFT JOIN receipt USING (alert_id, shard_n, n) "
            "WHERE alert_id = ANY(:ids) GROUP BY alert_id, provider"
        ),
        {"ids": list(alert_ids)},
    )
    return {(row.alert_id, row.provider): (row.shown, row.opened, row.known) for row in rows}


def _lock(session: Session, columns: Mapping[str, str]) -> dict[Place, _Row]:
    rows = session.execute(_LOCK, columns)
    return {
        (alert_id, shard_n, n): (marks, size, openings, minute)
        for alert_id, shard_n, n, marks, size, openings, minute in rows
    }


def columns_of(keys: Sequence[Place]) -> dict[str, str]:
    """Return the keys as Postgres writes arrays; the driver would check each number for quotes."""
    return {
        "alerts": array(alert_id for alert_id, _, _ in keys),
        "shards": array(shard_n for _, shard_n, _ in keys),
        "numbers": array(n for _, _, n in keys),
    }


def array(numbers: Iterable[int]) -> str:
    """Return numbers as Postgres writes an array."""
    return f"{{{','.join(map(str, numbers))}}}"
