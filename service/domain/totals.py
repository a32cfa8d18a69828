"""What an alert's deliveries add up to: how many stand where, and when they were accepted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.domain.delivery import STATES


@dataclass(frozen=True, slots=True)
class Totals:
    """How many deliveries stand where; `planned` is the sum of the other seven, always."""

    pending: int = 0
    retrying: int = 0
    accepted: int = 0
    gone: int = 0
    expired: int = 0
    buried: int = 0
    cancelled: int = 0

    @property
    def planned(self) -> int:
        """All deliveries."""
        return sum(self.counts())

    @property
    def open(self) -> int:
        """Those whose last word has not been said."""
        return self.pending + self.retrying

    @property
    def in_vain(self) -> int:
        """Those that wait for another attempt, expired or were cancelled."""
        return self.retrying + self.expired + self.cancelled

    def counts(self) -> tuple[int, ...]:
        """Return the seven in the order of `State`."""
        return (
            self.pending,
            self.retrying,
            self.accepted,
            self.gone,
            self.expired,
            self.buried,
            self.cancelled,
        )

    def as_dict(self) -> dict[str, int]:
        """Return the eight numbers of a report by name."""
        return {"planned": self.planned} | {
            state.name.lower(): n for state, n in zip(STATES, self.counts(), strict=True)
        }

    def __add__(self, other: "Totals") -> "Totals":
        """Add position by position."""
        return Totals(*map(sum, zip(self.counts(), other.counts(), strict=True)))


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds from when the alert was due to the first, median, 90 % and last acceptance."""

    first_ms: int | None = None
    p50_ms: int | None = None
    p90_ms: int | None = None
    last_ms: int | None = None


Sum = TypeVar("Sum", int, "Totals")


def fold(by_app: Mapping[str, Sum], providers: Mapping[str, str], zero: Sum) -> dict[str, Sum]:
    """Add up by provider what is known by app; an app that `providers` lacks is a default one."""
    sums: dict[str, Sum] = {}
    for app, value in by_app.items():
        provider = providers.get(app, app)
        sums[provider] = sums.get(provider, zero) + value
    return sums


def timing(steps: Sequence[tuple[int, int]]) -> Timing:
    """Return the timing of (milliseconds, newly accepted) steps in any order."""
    timeline = sorted(step for step in steps if step[1] > 0)
    if not timeline:
        return Timing()
    total = sum(n for _, n in timeline)
    return Timing(
        first_ms=timeline[0][0],
        p50_ms=_when(timeline, total * 0.5),
        p90_ms=_when(timeline, total * 0.9),
        last_ms=timeline[-1][0],
    )


def _when(timeline: Sequence[tuple[int, int]], share: float) -> int:
    so_far = 0
    for ms, n in timeline:
        so_far += n
        if so_far >= share:
            return ms
    return timeline[-1][0]
