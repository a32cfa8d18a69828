"""What devices said themselves: two bitmaps a batch, who showed the push, then who opened it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import text
from sqlmodel import Session


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

# The row's own lock orders simultaneous marks: DO UPDATE reads the newest version of the row, so
# none is lost, and a mark that stands already costs no write.
_MARK = """
WITH place AS (
    SELECT alert_id, shard_n, n, (length(states) + 7) / 8 AS half FROM batch
    WHERE alert_id = :alert AND shard_n = :shard_n AND n = :n AND :position < length(states)
)
INSERT INTO receipt (alert_id, shard_n, n, marks)
SELECT alert_id, shard_n, n,
    set_bit(decode(repeat('00', half * 2), 'hex'), :position + half * 8 * :half, 1)
FROM place
ON CONFLICT (alert_id, shard_n, n) DO UPDATE
SET marks = set_bit(receipt.marks, :position + length(receipt.marks) * 4 * :half, 1)
WHERE get_bit(receipt.marks, :position + length(receipt.marks) * 4 * :half) = 0
"""


def add_mark(
    session: Session, alert_id: int, shard_n: int, n: int, position: int, mark: Mark
) -> None:
    """Note what the device at this position said; again is the same as once.

    A batch that is kept no more takes no marks.
    """
    session.execute(
        text(_MARK),
        {
            "alert": alert_id,
            "shard_n": shard_n,
            "n": n,
            "position": position,
            "half": 0 if mark is Mark.SHOWN else 1,
        },
    )


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
