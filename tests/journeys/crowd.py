"""Many callers at once, each on a connection of its own, and how long each was kept waiting."""

import errno
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.system import System

CALL_TIMEOUT_S = 30.0


@dataclass
class Waits:
    """Statuses and seconds of calls; 0 is the status of a call that got no answer."""

    taken: list[tuple[int, float]] = field(default_factory=list)
    answers: list[httpx.Response] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def add(self, call: Callable[[], httpx.Response]) -> None:
        began = time.monotonic()
        try:
            answer = _call_twice(call)
        except httpx.HTTPError as error:
            self.troubles.append(repr(error))
            self.taken.append((0, time.monotonic() - began))
            return
        self.taken.append((answer.status_code, time.monotonic() - began))
        self.answers.append(answer)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(status for status, _ in self.taken)

    @property
    def longest(self) -> float:
        return max(seconds for _, seconds in self.taken)

    def __str__(self) -> str:
        seconds = sorted(seconds for _, seconds in self.taken)
        half, most = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
        shown = ", ".join(f"{n} x {status}" for status, n in sorted(self.statuses.items()))
        times = f"half within {half:.2f} s, 99 % {most:.2f} s, all {self.longest:.2f} s"
        return "; ".join([shown, times, *self.troubles])


def _call_twice(call: Callable[[], httpx.Response]) -> httpx.Response:
    """Call again where the client's own pool has closed the connection under a thread (EBADF)."""
    try:
        return call()
    except httpx.ReadError as error:
        if f"Errno {errno.EBADF}" not in str(error):
            raise
        return call()


def at_once(n: int, call: Callable[[int], httpx.Response]) -> Waits:
    """Make `n` calls at the same time."""
    waits, together = Waits(), threading.Barrier(n)

    def one(i: int) -> None:
        together.wait(CALL_TIMEOUT_S)
        waits.add(lambda: call(i))

    with ThreadPoolExecutor(n) as pool:
        list(pool.map(one, range(n)))
    return waits


@contextmanager
def flood(
    system: System, clients: int, call: Callable[[httpx.Client], httpx.Response]
) -> Iterator[Waits]:
    """Let so many clients call in a loop while the block lasts."""
    waits, over = Waits(), threading.Event()

    def one() -> None:
        with httpx.Client(base_url=system.url, timeout=CALL_TIMEOUT_S, verify=False) as client:
            while not over.is_set():
                waits.add(lambda: call(client))

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(one)
        try:
            yield waits
        finally:
            over.set()
