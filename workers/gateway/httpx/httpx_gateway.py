"""The gateway on httpx: portable and easy to trace, some thirty times dearer than libcurl.

A few threads a pool send, each one request at a time on a connection of its entry: httpx breaks off
all requests of a connection when one of them takes too long. Their answers meet in a queue which
only `poll` reads. `httpx.MockTransport` can stand in for the network.
"""

import ssl
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue, SimpleQueue

import httpx

from workers.gateway.full_window import keep_full
from workers.gateway.httpx.exchange import exchange
from workers.gateway.httpx.transport import GuardedTransport
from workers.gateway.network_guard import Guard
from workers.gateway.origin import REFRESH_EVERY_S, forbidden, origin_of, read_origin
from workers.gateway.trust import TrustStore
from workers.provider import Answer, Request

THREADS = 20
"""A pool's requests at once: more of them only make httpx slower."""

MakeTransport = Callable[[ssl.SSLContext, Guard | None], httpx.BaseTransport]
Taken = list[tuple[Request, Answer]]


class ClientThreads:
    """The connections and threads of a pool since its last refresh."""

    def __init__(self, threads: int, make_transport: Callable[[], httpx.BaseTransport]) -> None:
        self.opened_at = time.monotonic()
        self.in_flight: dict[int, Request] = {}
        """What is in flight, by identity."""
        self._threads = ThreadPoolExecutor(threads, "gateway")
        self._make_transport = make_transport
        self._idle: LifoQueue[httpx.Client] = LifoQueue()
        self._transports: list[httpx.BaseTransport] = []
        self._closed = False

    def submit(self, request: Request, timeout_s: float, answers_queue: "Answered") -> None:
        """Let a thread send the request and put its answer into the queue."""
        self.in_flight[id(request)] = request
        self._threads.submit(self._exchange, request, timeout_s, answers_queue)

    def _exchange(self, request: Request, timeout_s: float, answers_queue: "Answered") -> None:
        client = self._client()
        try:
            answers_queue.put((self, request, exchange(client, request, timeout_s)))
        finally:
            self._idle.put(client)
            if self._closed:
                self._close_idle()

    def _client(self) -> httpx.Client:
        """Take the client that was used last: its connections are the warmest."""
        try:
            return self._idle.get_nowait()
        except Empty:
            transport = self._make_transport()
            self._transports.append(transport)
            return httpx.Client(transport=transport, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        """Break the connections off; threads that wait for an answer see that and end.

        Each closes its entry socket: a number closed under the hands of the thread that reads from
        it is soon another file's, and that thread would read a piece of it.
        """
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for transport in list(self._transports):
            if isinstance(transport, GuardedTransport):
                transport.break_off()
        self._close_idle()

    def _close_idle(self) -> None:
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()


Answered = SimpleQueue[tuple[ClientThreads, Request, Answer]]


@dataclass(slots=True, eq=False)
class HttpxPool:
    """One provider's requests; the last threads is the one that takes new ones."""

    window: int
    guard: Guard | None
    generations: list[ClientThreads]

    def open_requests(self) -> int:
        """Return how many requests have no answer yet."""
        return sum(len(threads.in_flight) for threads in self.generations)


class HttpxGateway:
    """`workers.gateway.contract.Gateway` says what each method promises."""

    def __init__(
        self, *, ca_file: Path | None, timeout_s: float, transport: MakeTransport | None = None
    ) -> None:
        self._trust = TrustStore(ca_file)
        self._context = self._trust.context()
        self._timeout_s = timeout_s
        self._make_transport = transport or GuardedTransport
        self._pools: dict[str, HttpxPool] = {}
        self._answers_queue: Answered = SimpleQueue()

    def open_pool(
        self,
        name: str,
        window: int,
        guard: Guard | None = None,
        *,
        origin_window: int | None = None,
    ) -> None:
        """Open a pool or change it. Few threads send here at all: no origin has a share."""
        del origin_window
        existing = self._pools.get(name)
        if existing is None:
            self._pools[name] = HttpxPool(window, guard, [self._new_threads(window, guard)])
        elif existing.guard != guard or existing.window != window:
            existing.window, existing.guard = window, guard
            existing.generations.append(self._new_threads(window, guard))

    def _new_threads(self, window: int, guard: Guard | None) -> ClientThreads:
        return ClientThreads(
            min(window, THREADS), lambda: self._make_transport(self._context, guard)
        )

    def room(self, pool: str) -> int:
        """Return how many more requests may be submitted now."""
        entry = self._pools[pool]
        return max(min(entry.window, THREADS) - entry.open_requests(), 0)

    def leave_until(self, moment: float) -> None:
        """Do nothing: nothing waits here, each request has had a thread of its own."""
        del moment

    def in_flight(self, pool: str | None = None) -> int:
        """Return how many requests have not been answered."""
        if pool is not None:
            return self._pools[pool].open_requests()
        return sum(each.open_requests() for each in self._pools.values())

    def submit(self, pool: str, request: Request) -> None:
        """Give the request to a thread of its pool."""
        threads = self._pools[pool].generations[-1]
        if read_origin(origin_of(request.url)) is None:
            threads.in_flight[id(request)] = request
            detail = "not an origin this pool may connect to"
            self._answers_queue.put((threads, request, forbidden(detail)))
        else:
            threads.submit(request, self._timeout_s, self._answers_queue)

    def poll(self, timeout: float) -> Taken:
        """Wait for answers; at once when nothing is in flight."""
        until = time.monotonic() + timeout
        results: Taken = []
        while not results and self.in_flight():
            time_left = until - time.monotonic()
            if time_left <= 0 or not self._take(results, time_left):
                break
            while self._take(results, 0):
                pass
        self._close_idle_threads()
        return results

    def _take(self, results: Taken, timeout: float) -> bool:
        """Take one answer from the queue; those of abandoned requests are dropped."""
        try:
            threads, request, answer = self._answers_queue.get(
                block=timeout > 0, timeout=timeout or None
            )
        except Empty:
            return False
        if threads.in_flight.pop(id(request), None) is not None:
            results.append((request, answer))
        return True

    def _close_idle_threads(self) -> None:
        for pool in self._pools.values():
            for threads in pool.generations[:-1]:
                if not threads.in_flight:
                    threads.close()
                    pool.generations.remove(threads)

    def refresh(self, pool: str) -> None:
        """Give the pool new connections; not twice within seconds."""
        entry = self._pools[pool]
        if time.monotonic() - entry.generations[-1].opened_at >= REFRESH_EVERY_S:
            entry.generations.append(self._new_threads(entry.window, entry.guard))

    def send(self, pool: str, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
        """Send them all with the window kept full."""
        return keep_full(self, pool, requests)

    def recall(self, pool: str, origins: Collection[str] | None = None) -> list[Request]:
        """Return nothing: each request has had a thread of its own from the start."""
        del pool, origins
        return []

    def abandon(self) -> list[Request]:
        """Drop every request that is not answered, and the connections they are on."""
        requests: list[Request] = []
        for pool in self._pools.values():
            if not pool.open_requests():
                continue
            for threads in pool.generations:
                requests += threads.in_flight.values()
                threads.in_flight.clear()
                threads.close()
            pool.generations = [self._new_threads(pool.window, pool.guard)]
        return requests

    def close(self) -> None:
        """Close every connection."""
        self.abandon()
        for pool in self._pools.values():
            for threads in pool.generations:
                threads.close()
        self._pools.clear()
