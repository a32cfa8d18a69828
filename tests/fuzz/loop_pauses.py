"""How long an event loop computes between two of its turns: what a caller costs all others."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi.testclient import TestClient


class Pauses:
    """The pauses so far, in seconds.

    They are the processor's time of the loop's thread, which a busy machine does not lengthen.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.count = 0
        self._ended = asyncio.Event()

    async def watch(self) -> None:
        while not self._ended.is_set():
            began = time.thread_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.thread_time() - began)
            self.count += 1

    def take_longest(self) -> float:
        """Return the longest pause since the last call."""
        longest, self.longest = self.longest, 0.0
        return longest

    async def end(self) -> None:
        self._ended.set()


@contextmanager
def watch_pauses(client: TestClient) -> Iterator[Pauses]:
    """Watch the loop of an opened client during the block."""
    pauses = Pauses()
    watching = client.portal.start_task_soon(pauses.watch)
    try:
        yield pauses
    finally:
        client.portal.call(pauses.end)
        watching.result()
