"""Which fault happens when, and which alerts are sent: all of it follows from the seed."""

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
    "wrong environment",
    "slow provider",
    "silent providers",
    "redis refuses",
    "deaf connections",
    "token server hangs",
    "cut database",
    "cut broker",
    "cut providers",
)
"""Each happens at least once if the run is long enough."""

PARTITIONS = ("cut database", "cut broker", "cut providers")
"""Between the workers' host and this one; skipped where this machine can have no second host."""
AIMED = frozenset({"kill worker", "freeze worker", "kill worker, answers hang", *PARTITIONS})
"""Faults that wait some seconds for a moment at which a worker has claimed batches."""

DURATIONS_S = {
    "redis away": (3, 60),
    "redis frozen": (2, 15),
    "refuse writes": (3, 30),
    "freeze worker": (13, 16),
    "kill worker, answers hang": (6, 8),
    "wrong environment": (5, 60),
    "slow provider": (15, 30),
    "silent providers": (18, 24),
    "redis refuses": (3, 60),
    "deaf connections": (18, 24),
    "token server hangs": (6, 20),
    "cut database": (60, 60),
    "cut broker": (60, 60),
    "cut providers": (60, 60),
}
LONG_S = 180.0
"""In a run of this length each partition lasts its whole minute; no fault of a shorter run takes
more than a fifth of it."""
KINDS = ("plain", "plain", "replayed", "replayed", "breaking", "corrected", "stopped", "withdrawn")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at `at_s` seconds of the run; `lasts_s` matters to those in `DURATIONS_S` only."""

    at_s: float
    name: str
    lasts_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sending:
    """An alert, and the share of acceptances at which the editor acts on it again."""

    at_s: float
    kind: str
    act_at: float


def plan_faults(
    seed: int, seconds: float, every_s: float, names: Sequence[str] = FAULTS
) -> list[Fault]:
    """Return the faults of a run; its last fifth has none, so that recovery can be measured."""
    draw = random.Random(seed)
    order: list[str] = []
    plan = []
    at = every_s / 2
    while at < seconds * 0.8:
        if not order:
            order = list(names)
            draw.shuffle(order)
        name = order.pop()
        lasts_s = draw.uniform(*DURATIONS_S.get(name, (0, 0)))
        if name not in PARTITIONS or seconds < LONG_S:
            lasts_s = min(lasts_s, seconds / 5)
        plan.append(Fault(round(at, 2), name, round(lasts_s, 2)))
        at += plan[-1].lasts_s + draw.uniform(0.5, 1.5) * every_s
    return plan


def plan_sendings(seed: int, seconds: float, every_s: float) -> list[Sending]:
    """Return the alerts of a run."""
    draw = random.Random(seed * 31 + 7)
    plan, at = [], 0.0
    while at < seconds * 0.85:
        plan.append(Sending(round(at, 2), draw.choice(KINDS), round(draw.uniform(0.1, 0.7), 2)))
        at += draw.uniform(0.7, 1.3) * every_s
    return plan
