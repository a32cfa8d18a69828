"""Pushes that a phone got twice: which fault explains each, and how many it may explain."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RECORDED_S = 4.0
"""An acceptance that is older than this is on record: answers take 60 ms, flushes come every
250 ms; the rest is for a busy machine, which takes seconds to read a whole window of answers."""
AFTERMATH_S = 3.0
"""How long after its end a fault still explains what happens: connections come back, and what a
killed or frozen worker had already sent still arrives."""
AWAKE_S = 3.0
HALF_SENT = 300
"""Pushes that a frozen worker had handed to its sockets leave when it wakes up; nobody can recall
them. Pushes that it sends later, or in addition to these, it sends although it could know."""
PROVIDERS = 2
WINDOW = 900
PROCESS_BOUND = 2 * PROVIDERS * WINDOW
"""The outcomes that one sending process can lose: a window of each provider in flight, and about as
many answers since its last flush."""

FREEZE = "freeze worker"
SENDING_PROCESSES = {"worker": 2, "worker-urgent": 1}
ALL_PROCESSES = sum(SENDING_PROCESSES.values())
AFFECTED_PROCESSES = {
    "kill worker": SENDING_PROCESSES["worker"],
    "kill urgent worker": SENDING_PROCESSES["worker-urgent"],
    "kill all": ALL_PROCESSES,
    "drain worker": SENDING_PROCESSES["worker"],
    FREEZE: 1,
    "kill worker, answers hang": SENDING_PROCESSES["worker"],
    "restart postgres": ALL_PROCESSES,
    "disconnect postgres": ALL_PROCESSES,
    "refuse writes": ALL_PROCESSES,
    "silent providers": ALL_PROCESSES,
    "deaf connections": ALL_PROCESSES,
    "cut database": ALL_PROCESSES,
    "cut providers": ALL_PROCESSES,
}
"""Faults after which an outcome may be unknown, and how many sending processes each affects.

What was in flight in these processes may have to be pushed again; no other fault excuses that.
"""


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """A fault that happened, from its start to its end, in epoch seconds."""

    name: str
    start: float
    end: float

    @property
    def bound(self) -> int:
        """The most pushes that it may have duplicated."""
        return PROCESS_BOUND * AFFECTED_PROCESSES.get(self.name, 0)

    def explains(self, first: float) -> bool:
        """Whether it can be the reason why a push of the time `first` was sent again."""
        is_near = first - AFTERMATH_S <= self.end and self.start <= first + RECORDED_S
        return self.name in AFFECTED_PROCESSES and is_near


@dataclass(frozen=True, slots=True)
class DuplicateCount:
    """How many duplicates no fault explains, and how many are more than their fault allows."""

    unexplained: int
    beyond_bound: int


def count_unexplained(firsts: Iterable[float], spans: Sequence[FaultSpan]) -> DuplicateCount:
    """Attribute each push that was repeated, by its time, to the last fault that explains it."""
    counts: Counter[FaultSpan | None] = Counter()
    for first in firsts:
        counts[next((span for span in reversed(spans) if span.explains(first)), None)] += 1
    unexplained = counts.pop(None, 0)
    beyond = sum(max(n - span.bound, 0) for span, n in counts.items() if span is not None)
    return DuplicateCount(unexplained, beyond)


def describe_unexplained(firsts: Iterable[float], spans: Sequence[FaultSpan]) -> list[str]:
    """Return for the duplicates that no fault explains how long before which fault they came."""
    counts: Counter[tuple[str, int]] = Counter()
    for first in firsts:
        if not any(span.explains(first) for span in spans):
            later = [span for span in spans if span.start > first]
            name, seconds = (later[0].name, later[0].start - first) if later else ("the end", 0)
            counts[name, round(seconds)] += 1
    return [
        f"  without a fault: {n} pushes {seconds} s before {name}"
        for (name, seconds), n in sorted(counts.items())
    ]


def count_inexcusable(repeats: Iterable[float], spans: Sequence[FaultSpan]) -> int:
    """Count the pushes, by their times, that were sent although an acceptance was on record."""
    counts: Counter[FaultSpan | None] = Counter()
    for at in repeats:
        frozen = (s for s in spans if s.name == FREEZE and s.end <= at <= s.end + AWAKE_S)
        counts[next(frozen, None)] += 1
    unexcused = counts.pop(None, 0)
    return unexcused + sum(max(n - HALF_SENT, 0) for n in counts.values())
