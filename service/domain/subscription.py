"""A reader follows a topic, from some urgency on, and may mute it for a while."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Urgency(StrEnum):
    """How much an alert may disturb; what the editor chose. Ordered by `rank`."""

    QUIET = "quiet"
    NORMAL = "normal"
    BREAKING = "breaking"

    @property
    def rank(self) -> int:
        """0 for quiet, 1 for normal, 2 for breaking: the number that tables hold."""
        return _RANKS.index(self)

    @classmethod
    def of_rank(cls, rank: int) -> "Urgency":
        """Return the urgency that tables hold as `rank`."""
        return _RANKS[rank]


_RANKS = (Urgency.QUIET, Urgency.NORMAL, Urgency.BREAKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One topic a reader follows; alerts below `least_urgency` do not count, none while muted."""

    topic: str
    least_urgency: Urgency = Urgency.QUIET
    muted_until: datetime | None = None

    def muted(self, moment: datetime) -> bool:
        """Whether the mute is in force at `moment`."""
        return self.muted_until is not None and moment < self.muted_until
