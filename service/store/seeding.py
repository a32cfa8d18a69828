"""Fill the store with made-up readers, a million in minutes: `newszop readers seed`.

The id space is cut into slices that are made and copied one by one, by several processes. A slice
is one transaction and follows from the seed and its number alone, so a run that was stopped is
finished by the next one with the same seed, and one that was finished changes nothing. Rows are
sorted by key, which spares the indexes most of their work.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import accumulate

import psycopg

from service.domain.topic import STORY_PREFIX, label_from, with_ancestors
from service.store.schema import ID_LIMIT, new_id
from service.store.specimens import Browser, Slice, Tastes, make

SLICE_READERS = 5_000
MOST_PROCESSES = 4
DEFAULT_PROVIDERS: Mapping[str, float] = {"fcm": 5, "apns": 3, "webpush": 2}
TOPICS = tuple(
    """world world/asia world/europe world/africa world/americas politics politics/elections
    business business/markets business/companies business/economy technology technology/ai
    technology/phones science science/space science/climate health health/medicine sport
    sport/cricket sport/football sport/tennis sport/hockey entertainment entertainment/film
    entertainment/music entertainment/television travel food weather education law cities
    cities/delhi cities/mumbai cities/london cities/berlin opinion""".split()
)
"""What is followed where there is no topic yet."""

Browsers = Callable[[int], Sequence[Browser]]
"""Gives so many Web Push subscriptions that something can decrypt for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What the made-up readers are like. `topics` are weights by path: None takes all there are,
    the first by path the most loved, the n-th an n-th as much.

    `browsers` gives the addresses of Web Push devices; without it there are none.
    """

    devices_per_reader: float = 1.0
    topics_per_reader: float = 4.0
    providers: Mapping[str, float] = field(default_factory=lambda: DEFAULT_PROVIDERS)
    topics: Mapping[str, float] | None = None
    browsers: Browsers | None = None

    def shares(self) -> dict[str, float]:
        """Return the part of the devices that each provider has."""
        kept = {
            name: weight
            for name, weight in self.providers.items()
            if weight > 0 and (name != WEB_PUSH or self.browsers is not None)
        }
        total = sum(kept.values())
        return {name: weight / total for name, weight in kept.items()}


WEB_PUSH = "webpush"


def seed(
    url: str,
    *,
    readers: int,
    mix: Mix | None = None,
    seed: int = 0,
    processes: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Add `readers` made-up readers and return how many were added now.

    `progress` is told how many readers are done. The same seed and number of readers give the
    same readers, whose slices are left alone where they are there already.
    """
    wanted = mix or Mix()
    tastes = _prepare(url, wanted)
    slices = _slices(readers, seed, wanted)
    done = added = 0
    for asked, made in _run(url, tastes, slices, processes or _processes(readers)):
        done += asked
        added += made
        progress(done)
    return added
