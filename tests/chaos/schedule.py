"""Which fault comes when: everything follows from the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

FAULTS = (
    "kill worker",
    "kill urgent worker",
    "kill service",
    "kill beat",
    "kill all",
    "drain worker",
    "freeze worker",
    "kill worker, answers hang",
    "flush redis",
    "restart redis",
    "redis away",
    "redis frozen",
    "restart postgres",
    "disconnect postgres",
    "refuse writes",
    "jump clock",
)
"""Each comes at least once when there is time for so many."""

AIMED = frozenset({"kill worker", "freeze worker", "kill worker, answers hang"})
"""Faults that wait some seconds for a moment in which batches are in somebody's hands."""

LASTING_S = {
    "redis away": (3, 60),
    "redis frozen": (2, 15),
    "refuse writes": (3, 30),
    "freeze worker": (13, 16),
    "kill worker, answers hang": (6, 8),
}
KINDS = ("plain", "plain", "replayed", "replayed", "breaking", "corrected", "stopped", "withdrawn")


@dataclass(frozen=True, slots=True)
class Fault:
    """`at_s` seconds after the beginning, for `lasts_s` seconds where that means something."""

    at_s: float
    name: str
    lasts_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sending:
    """An alert to be sent, and how far it is to come before the editor acts on it again."""

    at_s: float
    kind: str
    turn_at: float


def faults(seed: int, seconds: float, every_s: float, among: Sequence[str] = FAULTS) -> list[Fault]:
    """Return the faults of a run; none falls into its last fifth, so that recovery shows."""
    draw = random.Random(seed)
    order: list[str] = []
    found = []
    at = every_s / 2
    longest = seconds / 5
    while at < seconds * 0.8:
        if not order:
            order = list(among)
            draw.shuffle(order)
        name = order.pop()
        low, high = LASTING_S.get(name, (0, 0))
        found.append(Fault(round(at, 2), name, round(min(draw.uniform(low, high), longest), 2)))
        at += found[-1].lasts_s + draw.uniform(0.5, 1.5) * every_s
    return found


def sendings(seed: int, seconds: float, every_s: float) -> list[Sending]:
    """Return the alerts of a run."""
    draw = random.Random(seed * 31 + 7)
    found, at = [], 0.0
    while at < seconds * 0.85:
        found.append(Sending(round(at, 2), draw.choice(KINDS), round(draw.uniform(0.1, 0.7), 2)))
        at += draw.uniform(0.7, 1.3) * every_s
    return found
