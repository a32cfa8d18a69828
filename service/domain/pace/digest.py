"""When what quiet hours kept away from readers comes, as one push: the digest.

Readers' quiet hours end at any minute. The ends of some minutes are taken together, so that a day
has at most 288 digests, each for all readers whose quiet hours ended in its window.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from service.domain.people import Reader
from service.domain.time_zone import local_time

SLOT = timedelta(minutes=5)
DELAY = timedelta(seconds=30)
"""A digest begins so long after the end of its window: alerts of its last minute are packed."""
LATEST = timedelta(hours=3)
"""Quiet hours that ended longer ago, while nothing ran, bring no digest any more."""
REACH_BACK = timedelta(hours=24)
"""Alerts of so long before can be in a digest: nobody's quiet hours are longer."""
LEAST_GAP = timedelta(hours=12)
"""A reader who changes zone or hours gets no second digest within so long."""
LIFE = timedelta(hours=4)
MOST_ALERTS = 10
"""So many alerts are in one digest, the newest."""


@dataclass(frozen=True, slots=True)
class Window:
    """A digest is for those whose quiet hours ended after `begin`, at `end` at the latest."""

    begin: datetime
    end: datetime

    def local_ends(self, zones: Iterable[str]) -> dict[str, tuple[time, time]]:
        """Return by time zone between which local times, the first excluded, hours ended."""
        return {zone: (local_time(zone, self.begin), local_time(zone, self.end)) for zone in zones}


def window_at(now: datetime, last_end: datetime | None) -> Window | None:
    """Return the window whose digest is to begin now; None when the last one is the newest.

    It follows on the last window; without one, or after a long silence, it does not reach back.
    """
    seconds = SLOT.total_seconds()
    end = datetime.fromtimestamp((now - DELAY).timestamp() // seconds * seconds, UTC)
    if last_end is not None and last_end >= end:
        return None
    begin = end - SLOT if last_end is None else max(last_end, end - LATEST)
    return Window(begin, end)


def is_due(reader: Reader, window: Window) -> bool:
    """Whether the reader asked for digests, and its quiet hours ended in the window."""
    quiet = reader.quiet_hours
    if not reader.digest or quiet is None or quiet.begin == quiet.end:
        return False
    begin, end = window.local_ends([reader.timezone])[reader.timezone]
    if begin <= end:
        return begin < quiet.end <= end
    return quiet.end > begin or quiet.end <= end
