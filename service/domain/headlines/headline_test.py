"""An alert with two headlines: a share of its readers gets each, the rest gets the better one.

Which reader gets which is drawn from the ids of alert and reader, so all devices of a reader get
the same, however often it is drawn. The same rule stands in SQL in
`service.store.deliveries.packing`.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import md5
from typing import Any

LEAST_SHARE, MOST_SHARE = 0.02, 0.5
DEFAULT_SHARE = 0.1
MOST_MINUTES = 120
DEFAULT_MINUTES = 10
_DRAWS = 2**32
_DIGITS = 8
"""Hexadecimal digits of the digest that make a draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineTest:
    """The second headline of an alert; the first are its own words. `body` None is the first's.

    `share` is the part of the readers that gets each of the two in the test.
    """

    title: str
    body: str | None = None
    share: float = DEFAULT_SHARE
    minutes: int = DEFAULT_MINUTES

    @property
    def duration(self) -> timedelta:
        """How long openings are counted before the better one is chosen."""
        return timedelta(minutes=self.minutes)

    @property
    def limits(self) -> tuple[int, int]:
        """The draws below which a reader gets the first and the second in the test."""
        return int(self.share * _DRAWS), int(self.share * 2 * _DRAWS)

    def group_of(self, alert_id: int, reader_id: int) -> int | None:
        """Return which headline a reader gets in the test, 0 or 1; None: the reader waits."""
        draw = draw_of(alert_id, reader_id)
        first, second = self.limits
        if draw < first:
            return 0
        return 1 if draw < second else None

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {
            "title": self.title,
            "body": self.body,
            "share": self.share,
            "minutes": self.minutes,
        }

    @classmethod
    def of_json(cls, values: dict[str, Any] | None) -> "HeadlineTest | None":
        """Return what was kept; None for an alert with one headline."""
        return None if values is None else cls(**values)


def draw_of(alert_id: int, reader_id: int) -> int:
    """Draw a number below 2**32 for a reader of an alert, always the same."""
    digest = md5(f"{alert_id}:{reader_id}".encode(), usedforsecurity=False)
    return int(digest.hexdigest()[:_DIGITS], 16)
