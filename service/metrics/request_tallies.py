"""Requests counted in plain numbers, and handed over to Prometheus' counters each second.

The library takes 12 us to count and time one request: each of its figures has a lock and a place in
a file that all processes read. Here it is one, and the library's share is a second's.
"""

import asyncio
import threading
from bisect import bisect_left
from dataclasses import dataclass, field

from prometheus_client import Counter, Histogram

from service.metrics.definitions import SECONDS

HAND_OVER_S = 1.0
"""How late other processes may read what this one has counted; one that is killed loses as much."""


@dataclass(slots=True)
class _Tally:
    """Requests of one route and status: how many took so long, and the sum of seconds."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    seconds: float = 0.0


class RequestTallies:
    """Counts and times requests by method, route and status; bounded by the routes there are."""

    def __init__(self, answers: Counter, seconds: Histogram) -> None:
        self._answers, self._seconds = answers, seconds
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, str, int], _Tally] = {}
        self._timer: asyncio.TimerHandle | None = None

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; called by the event loop."""
        key = method, route, status
        with self._lock:
            tally = self._tallies.get(key)
            if tally is None:
                tally = self._tallies[key] = _Tally()
            tally.buckets[bisect_left(SECONDS, seconds)] += 1
            tally.seconds += seconds
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(HAND_OVER_S, self._end_period)

    def hand_over(self) -> None:
        """Add what was counted since the last time to the library's figures; any thread may."""
        with self._lock:
            tallies, self._tallies = self._tallies, {}
        for (method, route, status), tally in tallies.items():
            self._answers.labels(method, route, str(status)).inc(sum(tally.buckets))
            _observe_many(self._seconds.labels(method, route), tally)

    def close(self) -> None:
        """Hand over the last ones; the event loop may end after this."""
        if self._timer is not None:
            self._timer.cancel()
        self._end_period()

    def _end_period(self) -> None:
        self._timer = None
        self.hand_over()


def _observe_many(histogram: Histogram, tally: _Tally) -> None:
    """Do what `observe` does for one duration, for all of a tally: the library has no such call."""
    histogram._sum.inc(tally.seconds)  # noqa: SLF001 - see above
    for bucket, number in zip(histogram._buckets, tally.buckets, strict=True):  # noqa: SLF001
        if number:
            bucket.inc(number)
