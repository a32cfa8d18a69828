"""What an alert did: when it was opened and by whom in numbers, and who left after it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from typing import Any

from service.domain.totals import Totals

DAY = timedelta(hours=24)
"""So long after an alert was due what readers do is counted as after it."""
USUAL = timedelta(days=28)
"""What is usual is the average of so long before it."""
WITHIN = (1, 10, 60)
"""The minutes that every report of openings names."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440)
"""The minutes after which a table of openings has a row."""
_HOUR, _DAY, _MOST_DAYS = 60, 1440, 28


@dataclass(frozen=True, slots=True)
class PartResult:
    """How far an alert came with a part of its audience.

    `known` are the devices that can report it and whose readers let us count what they open:
    `shown` and `opened` are of these.
    """

    planned: int = 0
    accepted: int = 0
    shown: int = 0
    opened: int = 0
    known: int = 0

    def __add__(self, other: "PartResult") -> "PartResult":
        """Add number by number."""
        return PartResult(
            self.planned + other.planned,
            self.accepted + other.accepted,
            self.shown + other.shown,
            self.opened + other.opened,
            self.known + other.known,
        )

    def scale(self, factor: float) -> "PartResult":
        """Return what a sample of which this is counted says of the whole."""
        return PartResult(*(round(factor * n) for n in asdict(self).values()))


@dataclass(frozen=True, slots=True)
class Departures:
    """Who left: unfollowed or muted a topic, turned a device off; or whose device went away."""

    unfollows: float = 0
    mutes: float = 0
    removals: float = 0
    gone: float = 0

    def as_dict(self) -> dict[str, float]:
        """Return the four numbers by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResult:
    """What an alert did with its audience, by part of it.

    `by_language` and `by_topic` are estimates of a sample where `is_sample`. `usual` is None while
    there is no record to compare with. `is_final` says that the day after the alert is over.
    """

    by_app: Mapping[str, PartResult] = field(default_factory=dict)
    by_language: Mapping[str, PartResult] = field(default_factory=dict)
    by_topic: Mapping[str, PartResult] = field(default_factory=dict)
    departures: Departures = Departures()
    usual: Departures | None = None
    openings: Mapping[int, int] = field(default_factory=dict)
    is_sample: bool = False
    is_final: bool = False

    @property
    def total(self) -> PartResult:
        """The whole audience."""
        return sum(self.by_app.values(), PartResult())

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {
            "by_app": _pack(self.by_app),
            "by_language": _pack(self.by_language),
            "by_topic": _pack(self.by_topic),
            "departures": self.departures.as_dict(),
            "usual": None if self.usual is None else self.usual.as_dict(),
            "openings": {str(minute): n for minute, n in self.openings.items()},
            "is_sample": self.is_sample,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "AlertResult":
        """Return what `to_json` packed; it was kept when its day was over."""
        parts = {
            name: {key: _unpack(numbers) for key, numbers in value[name].items()}
            for name in ("by_app", "by_language", "by_topic")
        }
        return cls(
            **parts,
            departures=Departures(**value["departures"]),
            usual=None if value["usual"] is None else Departures(**value["usual"]),
            openings={int(minute): n for minute, n in value["openings"].items()},
            is_sample=value["is_sample"],
            is_final=True,
        )


@dataclass(frozen=True, slots=True)
class Shares:
    """What alerts are compared by: percent of `known`, and departures for 10,000 accepted."""

    opened: float
    opened_within_10: float
    departures: float


def shares_of(results: Sequence[AlertResult]) -> Shares:
    """Return the shares of all these alerts together; nothing where nothing was sent."""
    total = sum((result.total for result in results), PartResult())
    within = sum(opened_within(result.openings, 10) for result in results)
    departures = sum(r.departures.unfollows + r.departures.mutes for r in results)
    known, accepted = total.known or 1, total.accepted or 1
    return Shares(
        opened=round(100 * total.opened / known, 1),
        opened_within_10=round(100 * within / known, 1),
        departures=round(10_000 * departures / accepted, 1),
    )


def slot_of(minute: int) -> int:
    """Return under which minute an opening is counted: exact for an hour, then by hours and days.

    So a batch has at most 111 of them.
    """
    if minute < _HOUR:
        return max(minute, 0)
    if minute < _DAY:
        return minute // _HOUR * _HOUR
    return min(minute // _DAY, _MOST_DAYS) * _DAY


def add_openings(openings: Sequence[int], minute: int, number: int) -> list[int]:
    """Return pairs (minute, newly opened), flattened, with so many more in this minute."""
    if number <= 0:
        return list(openings)
    by_slot = dict(zip(openings[::2], openings[1::2], strict=True))
    slot = slot_of(minute)
    by_slot[slot] = by_slot.get(slot, 0) + number
    return [value for pair in sorted(by_slot.items()) for value in pair]


def opened_within(openings: Mapping[int, int], minutes: int) -> int:
    """Return how many opened it in the first so many minutes."""
    return sum(n for slot, n in openings.items() if slot < minutes)


def opening_curve(openings: Mapping[int, int], minutes: int) -> list[int]:
    """Return how many had opened it after 0, 1, 2 ... minutes."""
    curve = [0]
    for minute in range(minutes):
        curve.append(curve[-1] + openings.get(minute, 0))
    return curve


def reach_of(totals: Totals, shown: int = 0, opened: int = 0, known: int = 0) -> PartResult:
    """Return how far deliveries came, with what their devices said."""
    return PartResult(totals.planned, totals.accepted, shown, opened, known)


def _unpack(numbers: Sequence[int]) -> PartResult:
    """Return what `_pack` packed; of an alert before readers could choose, all devices count."""
    return PartResult(*[*numbers, numbers[0]][: len(fields(PartResult))])


def _pack(parts: Mapping[str, PartResult]) -> dict[str, list[int]]:
    return {key: list(asdict(reach).values()) for key, reach in parts.items()}
