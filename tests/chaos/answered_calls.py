"""What readers' calls were answered with success, and whether the database says the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psycopg

from service.domain.subscription import Urgency
from service.store.schema import ID_LIMIT


@dataclass
class AnsweredCalls:
    """The effects that are due, each as of the last answered call about it.

    `locales` is by device id, `follows` by reader: the least urgency, or None after a `DELETE`.
    `shown` and `opened` are positions of the readers' own alert; `shown_sent` and
    `opened_sent` are all that were sent: without an answer before the run is over, they may count.
    """

    calls: int = 0
    readers: set[int] = field(default_factory=set)
    owners: dict[int, int] = field(default_factory=dict)
    locales: dict[int, str] = field(default_factory=dict)
    follows: dict[int, str | None] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)
    opened: set[int] = field(default_factory=set)
    shown_sent: set[int] = field(default_factory=set)
    opened_sent: set[int] = field(default_factory=set)

    def add(self, other: "AnsweredCalls") -> None:
        """Add what another client was answered; no two clients share a reader or a receipt."""
        self.calls += other.calls
        self.readers |= other.readers
        self.owners |= other.owners
        self.locales |= other.locales
        self.follows |= other.follows
        self.shown |= other.shown
        self.opened |= other.opened
        self.shown_sent |= other.shown_sent
        self.opened_sent |= other.opened_sent


@dataclass(frozen=True)
class Discrepancies:
    """What must be zero: effects that are missing, and receipts that count more than once."""

    missing: int = 0
    surplus_receipts: int = 0


def compare(answered: AnsweredCalls, rows: AnsweredCalls, counts: tuple[int, int]) -> Discrepancies:
    """Compare the effects that are due with those on record; `counts` are the report's receipts."""
    missing = (
        len(answered.readers - rows.readers)
        + _differences(answered.owners, rows.owners)
        + _differences(answered.locales, rows.locales)
        + _differences(answered.follows, rows.follows)
        + len(answered.shown - rows.shown)
        + len(answered.opened - rows.opened)
    )
    most = (len(answered.shown_sent), len(answered.opened_sent))
    surplus = sum(max(count - number, 0) for count, number in zip(counts, most, strict=True))
    return Discrepancies(missing, surplus)


def _differences(due: Mapping[int, object], on_record: Mapping[int, object]) -> int:
    return sum(on_record.get(key) != value for key, value in due.items())


def read_effects(
    connection: psycopg.Connection, answered: AnsweredCalls, alert_id: int, topic: str
) -> AnsweredCalls:
    """Read what the database says about everything that was answered."""
    readers, devices = list(answered.readers), list(answered.owners)
    rows = AnsweredCalls()
    rows.readers = set(_ids(connection, "SELECT id FROM reader WHERE id = ANY(%s)", readers))
    for device, owner, locale in connection.execute(
        "SELECT id, reader_id, locale FROM device WHERE id = ANY(%s) AND gone_at IS NULL",
        (devices,),
    ):
        rows.owners[device], rows.locales[device] = owner, locale
    rows.follows = dict.fromkeys(answered.follows)
    for reader, urgency in connection.execute(
        "SELECT s.reader_id, s.least_urgency FROM subscription s JOIN topic t ON t.id = s.topic_id "
        "WHERE t.path = %s AND s.reader_id = ANY(%s)",
        (topic, readers),
    ):
        rows.follows[reader] = Urgency.of_rank(urgency).value
    rows.shown, rows.opened = _marks(connection, alert_id)
    return rows


def _ids(connection: psycopg.Connection, query: str, ids: Iterable[int]) -> list[int]:
    assert all(0 < each < ID_LIMIT for each in ids)
    return [row[0] for row in connection.execute(query, (list(ids),))]


def _marks(connection: psycopg.Connection, alert_id: int) -> tuple[set[int], set[int]]:
    """Return the positions that are marked as shown and as opened, counted over all batches."""
    shown: set[int] = set()
    opened: set[int] = set()
    for shard, marks in connection.execute(
        "SELECT shard_n, marks FROM receipt WHERE alert_id = %s", (alert_id,)
    ):
        half = len(marks) // 2
        for positions, part in ((shown, marks[:half]), (opened, marks[half:])):
            value = int.from_bytes(part, "little")
            positions |= {shard * half * 8 + n for n in range(half * 8) if value >> n & 1}
    return shown, opened
