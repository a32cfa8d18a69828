"""Devices that have not been seen for long: they leave the counts, and later they are forgotten.

A device is seen when it registers or renews its registration; an imported one, when it is
imported. The sweep looks at one part of all readers each minute, so that no index has to follow
every renewal; a day covers all parts.
"""

from datetime import datetime

from sqlalchemy import TextClause, text
from sqlmodel import Session

from service.domain.device import UNSEEN
from service.store.schema import ID_LIMIT

PARTS = 24 * 60
"""Parts of the id space: ids are random, so they are equally large."""
MOST_AT_ONCE = 1000
"""Devices in one statement."""

_MARK = text("""
    WITH changing AS (
        SELECT id FROM device
        WHERE reader_id >= :lo AND reader_id < :hi AND gone_at IS NULL
            AND stale <> (registered_at < now() - make_interval(days => :days))
        ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE device SET stale = NOT stale FROM changing WHERE device.id = changing.id
    RETURNING device.id""")

_FORGET = text("""
    WITH unseen AS (
        SELECT id FROM device
        WHERE reader_id >= :lo AND reader_id < :hi AND gone_at IS NULL
            AND registered_at < now() - make_interval(days => :days)
        ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE device SET gone_at = now(), gone_why = :why, address = '', address_hash = '',
        p256dh = NULL, auth = NULL
    FROM unseen WHERE device.id = unseen.id RETURNING device.id""")
"""No address is dead by this: one that comes back is registered again."""


def part_at(moment: datetime) -> tuple[int, int]:
    """Return the reader ids [lo, hi) whose devices are looked at in this minute."""
    minute = int(moment.timestamp() // 60) % PARTS
    return ID_LIMIT * minute // PARTS, ID_LIMIT * (minute + 1) // PARTS


def mark_stale(session: Session, part: tuple[int, int], days: int) -> int:
    """Mark the devices that were not seen for so many days, and no others.

    Returns how many changed, at most 1,000.
    """
    return _change(session, _MARK, part, days=days)


def forget_unseen(session: Session, part: tuple[int, int], days: int) -> int:
    """Make tombstones of devices that were not seen for so many days; returns how many.

    At most 1,000; one that somebody else has locked waits for the next day.
    """
    return _change(session, _FORGET, part, days=days, why=UNSEEN)


def _change(
    session: Session, statement: TextClause, part: tuple[int, int], **values: int | str
) -> int:
    lo, hi = part
    rows = session.execute(statement, {**values, "lo": lo, "hi": hi, "most": MOST_AT_ONCE})
    return len(rows.all())
