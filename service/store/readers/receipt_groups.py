"""The table `receipt` for a rush: what a group of devices said is one statement, mostly.

A process remembers the rows as it last saw them. It writes what they become, and only where they
still are what it remembers: another process may have written meanwhile, or a backup come back. Such
a row is read again. So no lock is held from one statement to the next, and each commits by itself.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlmodel import Session

from service.domain.results.alert_result import add_openings
from service.store.driver_statement import DriverStatement
from service.store.readers.receipts import (
    Marks,
    Place,
    array,
    make_rows,
    opened_in,
    with_marks,
)
from service.store.sql_fragments import due_at

MAX_ROWS = 10_000
"""Rows that are remembered, of about 300 bytes each."""
MAX_TRIES = 5

_READ = DriverStatement(f"""
    SELECT receipt.alert_id, receipt.shard_n, receipt.n, marks, length(batch.states) AS deliveries,
        openings, CAST(extract(epoch FROM now() - {due_at("alert")}) AS float8) AS age
    FROM unnest(CAST(:alerts AS bigint[]), CAST(:shards AS int[]), CAST(:numbers AS int[]))
        AS key(alert_id, shard_n, n)
    JOIN receipt USING (alert_id, shard_n, n) JOIN batch USING (alert_id, shard_n, n)
    JOIN alert ON alert.id = receipt.alert_id""")

_REPLACE = DriverStatement("""
    UPDATE receipt SET marks = fresh.marks, openings = CAST(fresh.openings AS int[])
    FROM unnest(CAST(:alerts AS bigint[]), CAST(:shards AS int[]), CAST(:numbers AS int[]),
        CAST(:old_marks AS bytea[]), CAST(:marks AS bytea[]), CAST(:openings AS text[]))
        AS fresh(alert_id, shard_n, n, old_marks, marks, openings)
    WHERE (receipt.alert_id, receipt.shard_n, receipt.n)
        = (fresh.alert_id, fresh.shard_n, fresh.n) AND receipt.marks = fresh.old_marks
    RETURNING receipt.alert_id, receipt.shard_n, receipt.n""")


class TooManyWriters(Exception):
    """Others changed the same rows each time: take the ordinary path, which locks them."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A batch's bitmaps, its deliveries and openings, and when its alert was due (monotonic)."""

    marks: bytes
    deliveries: int
    openings: Sequence[int]
    due_at: float

    def marked(self, shown: Collection[int], opened: Collection[int]) -> "_Row":
        """Return the row with these marks."""
        marks = with_marks(self.marks, self.deliveries, shown, opened)
        number = opened_in(marks) - opened_in(self.marks) if opened else 0
        openings = self.openings
        if number:
            minute = int((monotonic() - self.due_at) // 60)
            openings = add_openings(openings, minute, number)
        return _Row(marks, self.deliveries, openings, self.due_at)


class ReceiptRows:
    """The rows of batches as this process last saw them; bounded. One thread uses it."""

    def __init__(self) -> None:
        self._rows: dict[Place, _Row] = {}

    def add_marks(self, session: Session, marks_by_batch: Marks) -> None:
        """Note all that devices said; again is the same as once.

        A batch that is kept no more takes no marks, nor does a position that it does not have.
        """
        marks = marks_by_batch
        if len(self._rows) + len(marks) > MAX_ROWS:
            self._rows.clear()
        for _ in range(MAX_TRIES):
            unknown = {key: marks[key] for key in marks if key not in self._rows}
            if unknown:
                self._read_or_make(session, unknown)
            marks = self._write(session, {key: marks[key] for key in marks if key in self._rows})
            if not marks:
                return
        raise TooManyWriters

    def _read_or_make(self, session: Session, unknown: Marks) -> None:
        self._read(session, unknown)
        missing = {key: marks for key, marks in unknown.items() if key not in self._rows}
        if missing:
            make_rows(session, missing)
            self._read(session, missing)

    def _read(self, session: Session, keys: Collection[Place]) -> None:
        now = monotonic()
        for row in _READ.run(session, _columns(sorted(keys))):
            key = row.alert_id, row.shard_n, row.n
            self._rows[key] = _Row(row.marks, row.deliveries, row.openings, now - row.age)

    def _write(self, session: Session, marks_by_batch: Marks) -> Marks:
        """Write the rows that change; return what was not written, its rows forgotten."""
        changes = {
            key: new
            for key in sorted(marks_by_batch)
            if (new := self._rows[key].marked(*marks_by_batch[key])).marks != self._rows[key].marks
        }
        if not changes:
            return {}
        places = {tuple(row) for row in _REPLACE.run(session, self._values(changes))}
        self._rows |= {key: row for key, row in changes.items() if key in places}
        others = changes.keys() - places
        for key in others:
            del self._rows[key]
        return {key: marks_by_batch[key] for key in others}

    def _values(self, changes: Mapping[Place, _Row]) -> dict[str, Any]:
        return {
            **_columns(changes),
            "old_marks": [self._rows[key].marks for key in changes],
            "marks": [row.marks for row in changes.values()],
            "openings": [array(row.openings) for row in changes.values()],
        }


def _columns(keys: Iterable[Place]) -> dict[str, Sequence[int]]:
    alerts, shards, numbers = zip(*keys, strict=True)
    return {"alerts": alerts, "shards": shards, "numbers": numbers}
