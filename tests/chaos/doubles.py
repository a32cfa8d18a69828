"""What a phone got twice: which fault explains it, and whether that one may have done so much."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KNOWN_S = 4.0
"""A yes that old stands on record: answers take 60 ms, flushes come every 250 ms; the rest is
patience with a busy machine, which takes seconds to read a whole window of answers."""
AFTERMATH_S = 3.0
"""How long after its end a fault still explains what happens: connections come back, and what a
worker that was killed or frozen had in the air still arrives."""
AWAKE_S = 3.0
HALF_SENT = 300
"""What a worker that was stopped in its tracks had handed to its sockets leaves when it wakes up:
nobody can call that back. Whatever it sends later, or more, it sends knowing better."""
PROVIDERS = 2
WINDOW = 900
A_PROCESS = 2 * PROVIDERS * WINDOW
"""What one sending process can lose of what it knows: a window of every provider in flight, and
about as much again that was answered since its last flush."""

FREEZE = "freeze worker"
PROCESSES = {"worker": 2, "worker-urgent": 1}
EVERYBODY = sum(PROCESSES.values())
HIT = {
    "kill worker": PROCESSES["worker"],
    "kill urgent worker": PROCESSES["worker-urgent"],
    "kill all": EVERYBODY,
    "drain worker": PROCESSES["worker"],
    FREEZE: 1,
    "kill worker, answers hang": PROCESSES["worker"],
    "restart postgres": EVERYBODY,
    "disconnect postgres": EVERYBODY,
    "refuse writes": EVERYBODY,
}
"""Faults after which an outcome may be unknown, and how many sending processes each of them hits.

What was in flight there may have to be pushed again; after any other fault nothing may.
"""


@dataclass(frozen=True, slots=True)
class Span:
    """A fault that was done, from its beginning to its end, in epoch seconds."""

    name: str
    begun: float
    ended: float

    @property
    def bound(self) -> int:
        """The most pushes that it may have doubled."""
        return A_PROCESS * HIT.get(self.name, 0)

    def explains(self, first: float) -> bool:
        """Whether it can be the reason that a push of the time `first` was sent again."""
        near = first - AFTERMATH_S <= self.ended and self.begun <= first + KNOWN_S
        return self.name in HIT and near


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many doubles no fault explains, and how many are more than their fault may cause."""

    unexplained: int
    beyond_bound: int


def judge(firsts: Iterable[float], spans: Sequence[Span]) -> Verdict:
    """Put every push that was repeated, by its time, down to the last fault that explains it."""
    blamed: Counter[Span | None] = Counter()
    for first in firsts:
        blamed[next((span for span in reversed(spans) if span.explains(first)), None)] += 1
    unexplained = blamed.pop(None, 0)
    beyond = sum(max(n - span.bound, 0) for span, n in blamed.items() if span is not None)
    return Verdict(unexplained, beyond)


def inexcusable(again: Iterable[float], spans: Sequence[Span]) -> int:
    """Count the pushes, by their times, that were sent although a yes was on record."""
    excused: Counter[Span | None] = Counter()
    for at in again:
        woken = (s for s in spans if s.name == FREEZE and s.ended <= at <= s.ended + AWAKE_S)
        excused[next(woken, None)] += 1
    knowing = excused.pop(None, 0)
    return knowing + sum(max(n - HALF_SENT, 0) for n in excused.values())
