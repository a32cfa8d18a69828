"""Which of two headlines goes to the rest, and how many devices it takes to tell.

The two-proportion z-test with a pooled share (NIST/SEMATECH e-Handbook of Statistical Methods,
7.3.3) and the sample size for it (Fleiss, Levin and Paik, Statistical Methods for Rates and
Proportions, 3rd edition, 4.2), both two-sided. The result is looked at once, at the end.
"""

from dataclasses import dataclass
from math import ceil, erfc, sqrt

SIGNIFICANCE = 0.05
"""How likely a difference as large may be when there is none."""
LIFT = 1.5
"""The least difference worth finding: one is opened half as often again as the other."""
_Z_SIGNIFICANCE = 1.959964
"""The normal quantile of 1 - `SIGNIFICANCE` / 2."""
_Z_POWER = 0.841621
"""That of 0.8: such a difference is found in four of five tests."""
LEAST_OPENS = 5
"""Opens to be expected of each headline, below which the normal distribution does not hold."""
LEAST_SHARE, MOST_SHARE = 0.002, 0.5
"""Shares of opens that the size of a test is computed for."""
LEAST_SAID = 0.001


@dataclass(frozen=True, slots=True)
class Group:
    """The devices that got a headline in the test: those that took it, and those that opened it."""

    accepted: int
    opened: int

    @property
    def share(self) -> float:
        """The part that opened it."""
        return self.opened / self.accepted if self.accepted else 0.0


@dataclass(frozen=True, slots=True)
class HeadlineChoice:
    """Which headline goes to the rest, 0 or 1, and why, in a sentence."""

    headline: int
    reason: str


@dataclass(frozen=True, slots=True)
class HeadlineFigures:
    """One of two headlines, and what became of it in the test."""

    title: str
    body: str
    devices: int
    group: Group


def needed_devices(open_share: float) -> int:
    """Return how many devices each headline needs to find a difference of `LIFT`."""
    low = min(max(open_share, LEAST_SHARE), MOST_SHARE)
    high = low * LIFT
    mean = (low + high) / 2
    equal = _Z_SIGNIFICANCE * sqrt(2 * mean * (1 - mean))
    apart = _Z_POWER * sqrt(low * (1 - low) + high * (1 - high))
    return ceil(((equal + apart) / (high - low)) ** 2)


def likelihood_of_chance(first: Group, second: Group) -> float:
    """Return the p-value: how likely chance alone makes so large a difference, 0 to 1."""
    devices = first.accepted * second.accepted
    pooled_share = (first.opened + second.opened) / max(first.accepted + second.accepted, 1)
    if not devices or pooled_share in (0.0, 1.0):
        return 1.0
    error = sqrt(pooled_share * (1 - pooled_share) * (1 / first.accepted + 1 / second.accepted))
    return erfc(abs(first.share - second.share) / error / sqrt(2))


def choose_headline(first: Group, second: Group) -> HeadlineChoice:
    """Return the headline for the rest: without a significant difference, the editor's first."""
    pooled_share = (first.opened + second.opened) / max(first.accepted + second.accepted, 1)
    if pooled_share * min(first.accepted, second.accepted) < LEAST_OPENS:
        opens = first.opened + second.opened
        words = f"Too few opened it to tell ({opens})"
        return HeadlineChoice(0, f"{words}: the editor's first goes to the rest.")
    chance = likelihood_of_chance(first, second)
    shares = f"{_percent(first)} opened the first, {_percent(second)} the second"
    if chance >= SIGNIFICANCE:
        words = f"{shares}: no significant difference (p = {chance:.2f})"
        return HeadlineChoice(0, f"{words}, so the editor's first goes to the rest.")
    better = int(second.share > first.share)
    name = ("first", "second")[better]
    p = f"= {chance:.3f}" if chance >= LEAST_SAID else f"< {LEAST_SAID}"
    return HeadlineChoice(better, f"{shares} (p {p}): the {name} goes to the rest.")


def _percent(group: Group) -> str:
    return f"{100 * group.share:.1f} %"
