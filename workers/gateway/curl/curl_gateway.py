"""The gateway on libcurl: HTTP/2 with all of a provider's requests on one warm connection.

Why libcurl, why its `perform` and why corked sockets: workers/README.md, decisions. What it must
not do by itself (send a POST again) is prevented in `transfer`.
"""

import math
import select
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workers.gateway.curl.multi import Multi
from workers.gateway.full_window import keep_full
from workers.gateway.network_guard import Guard
from workers.gateway.origin import (
    REFRESH_EVERY_S,
    Origin,
    forbidden,
    not_sent,
    origin_of,
    read_origin,
)
from workers.gateway.trust import TrustStore
from workers.gateway.waiting_requests import (
    MOST_ORIGINS,
    WaitingRequests,
    free_room,
    most_waiting,
)
from workers.provider import Answer, Request

LONGEST_NAP_S = 0.01
"""How long to sleep at most without looking: libcurl also waits for things we do not watch."""

Answers = list[tuple[Request, Answer]]


@dataclass(slots=True, eq=False)
class CurlPool:
    """One provider's requests. `sent_requests` are with libcurl, the others wait."""

    window: int
    guard: Guard | None
    multi: Multi
    origin_window: int | None = None
    """Most requests in flight to one origin; None: as many as to all."""
    open_requests: int = 0
    sent_requests: int = 0
    origins: dict[str, Origin] = field(default_factory=dict)
    waiting: set[Origin] = field(default_factory=set)
    draining: list[Multi] = field(default_factory=list)

    def room(self) -> int:
        """Return how many more may be submitted."""
        return free_room(
            self.window,
            self.guard,
            sent_requests=self.sent_requests,
            open_requests=self.open_requests,
        )

    def may_go(self, origin: Origin) -> bool:
        """Whether one more request for the origin may be handed to libcurl now."""
        if self.sent_requests >= self.window:
            return False
        if self.origin_window is not None and origin.sent_requests >= self.origin_window:
            return False
        if origin.turn == self.multi.turns and origin.warm and origin.sent_requests:
            return origin.sent_requests < origin.limit
        return self.multi.may_go(origin)

    def origin(self, url: str) -> Origin | None:
        """Return the URL's origin; None when it has none that we would connect to."""
        name = origin_of(url)
        origin = self.origins.get(name)
        if origin is None:
            origin = read_origin(name)
            if origin is None or (self.guard is not None and origin.scheme != "https"):
                return None
            if len(self.origins) >= MOST_ORIGINS:
                self._forget_idle()
            self.origins[name] = origin
        return origin

    def _forget_idle(self) -> None:
        idle = [
            name for name, each in self.origins.items() if not (each.sent_requests or each.waiting)
        ]
        for name in idle:
            del self.origins[name]

    def multis(self) -> list[Multi]:
        """Return every multi handle with requests in flight; close the old ones without any."""
        for idle in [multi for multi in self.draining if not multi.running]:
            idle.close()
            self.draining.remove(idle)
        return [multi for multi in (self.multi, *self.draining) if multi.running]


class CurlGateway:
    """`workers.gateway.contract.Gateway` says what each method promises."""

    def __init__(self, *, ca_file: Path | None, timeout_s: float) -> None:
        self._trust = TrustStore(ca_file)
        self._timeout_s = timeout_s
        self._pools: dict[str, CurlPool] = {}
        self._answers: Answers = []
        self._leave_until = math.inf

    def open_pool(
        self,
        name: str,
        window: int,
        guard: Guard | None = None,
        *,
        origin_window: int | None = None,
    ) -> None:
        """Open a pool or change it. Its guard can change only while nothing is in flight."""
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = CurlPool(window, guard, self._new_multi(guard))
        elif pool.guard != guard:
            self._renew(pool, guard)
        pool.window, pool.origin_window = window, origin_window
        pool.multi.allow(window)

    def _new_multi(self, guard: Guard | None) -> Multi:
        return Multi(ca_path=self._trust.path, timeout_s=self._timeout_s, guard=guard)

    def room(self, pool: str) -> int:
        """Return how many more requests may be submitted now."""
        return self._pools[pool].room()

    def leave_until(self, moment: float) -> None:
        """Let nothing that waits leave after this moment."""
        self._leave_until = moment

    def in_flight(self, pool: str | None = None) -> int:
        """Return how many requests have not been answered."""
        if pool is not None:
            return self._pools[pool].open_requests
        return sum(each.open_requests for each in self._pools.values())

    def submit(self, pool: str, request: Request) -> None:
        """Hand the request to libcurl, or let it wait until its origin is warm."""
        entry = self._pools[pool]
        entry.open_requests += 1
        url = request.url
        origin = entry.origins.get(url[: url.find("/", 8)]) or entry.origin(url)
        if origin is None:
            self._answer(entry, request, forbidden("not an origin this pool may connect to"))
        elif origin.waiting or not entry.may_go(origin):
            self._enqueue(entry, origin, request)
        else:
            self._hand(entry, origin, request)

    def _hand(self, pool: CurlPool, origin: Origin, request: Request) -> None:
        impossible = pool.multi.hand(request, origin)
        if impossible is not None:
            self._answer(pool, request, impossible)
        else:
            pool.sent_requests += 1

    def _enqueue(self, pool: CurlPool, origin: Origin, request: Request) -> None:
        limit = most_waiting(pool.window, pool.guard, pool.origin_window)
        deadline = time.monotonic() + 2 * self._timeout_s
        if origin.waiting.admit(request, deadline, limit):
            pool.waiting.add(origin)
        else:
            self._answer(pool, request, not_sent("too many wait for this origin already"))

    def _answer(self, pool: CurlPool, request: Request, answer: Answer) -> None:
        pool.open_requests -= 1
        self._answers.append((request, answer))

    def poll(self, timeout: float) -> Answers:
        """Send and receive until there is an answer; at once when nothing is in flight."""
        until = time.monotonic() + timeout
        while True:
            for pool in self._pools.values():
                if pool.open_requests:
                    self._turn(pool)
            if self._answers or not self.in_flight():
                answers, self._answers = self._answers, []
                return answers
            time_left = until - time.monotonic()
            if time_left <= 0:
                return []
            self._nap(time_left)

    def _turn(self, pool: CurlPool) -> None:
        answers = self._answers
        if pool.waiting:
            self._release(pool)
        for multi in pool.multis():
            before = len(answers)
            closed = multi.turn(answers)
            new_answers = len(answers) - before
            pool.sent_requests -= new_answers
            pool.open_requests -= new_answers
            for origin, why in closed:
                for request in origin.waiting.take_all():
                    self._answer(pool, request, why)
        if pool.waiting:
            self._release(pool)

    def _release(self, pool: CurlPool) -> None:
        """Hand over what has waited and may go now; answer what has waited for too long."""
        now = time.monotonic()
        for origin in list(pool.waiting):
            for request in origin.waiting.take_expired(now):
                self._answer(pool, request, not_sent("waited too long for a connection"))
            while origin.waiting and now <= self._leave_until and pool.may_go(origin):
                self._hand(pool, origin, origin.waiting.popleft()[0])
            if not origin.waiting:
                pool.waiting.discard(origin)

    def _nap(self, longest: float) -> None:
        """Sleep until a socket has news, or libcurl or we must look after something."""
        nap = min(longest, LONGEST_NAP_S)
        wait = select.poll()
        for pool in self._pools.values():
            for multi in pool.multis():
                nap_s = multi.nap_s()
                nap = nap if nap_s is None else min(nap, nap_s)
                reading, writing = multi.sockets()
                for fd in reading:
                    wait.register(fd, select.POLLIN | (select.POLLOUT if fd in writing else 0))
                for fd in writing:
                    wait.register(fd, select.POLLOUT | (select.POLLIN if fd in reading else 0))
        wait.poll(nap * 1000)

    def refresh(self, pool: str) -> None:
        """Give the pool new connections; not twice within seconds."""
        entry = self._pools[pool]
        if time.monotonic() - entry.multi.opened_at >= REFRESH_EVERY_S:
            self._renew(entry, entry.guard)

    def _renew(self, pool: CurlPool, guard: Guard | None) -> None:
        pool.draining.append(pool.multi)
        pool.guard = guard
        pool.multi = self._new_multi(guard)
        pool.multi.allow(pool.window)
        old, pool.origins, pool.waiting = pool.origins, {}, set()
        for name, origin in old.items():
            if origin.waiting:
                fresh = Origin(origin.scheme, origin.host, origin.port, waiting=origin.waiting)
                pool.origins[name] = fresh
                pool.waiting.add(fresh)
                origin.waiting = WaitingRequests()

    def send(self, pool: str, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
        """Send them all with the window kept full."""
        return keep_full(self, pool, requests)

    def recall(self, pool: str, origins: Collection[str] | None = None) -> list[Request]:
        """Take back what libcurl has not been given."""
        entry = self._pools[pool]
        waiting = [each.waiting for each in entry.waiting if each.waiting.are_for(origins)]
        requests = [request for each in waiting for request in each.take_all()]
        entry.waiting = {each for each in entry.waiting if each.waiting}
        entry.open_requests -= len(requests)
        return requests

    def abandon(self) -> list[Request]:
        """Drop every request that is not answered; the connections stay for later ones."""
        requests = [request for request, _ in self._answers]
        self._answers = []
        for pool in self._pools.values():
            for origin in pool.waiting:
                requests += origin.waiting.take_all()
            pool.waiting.clear()
            for multi in pool.multis():
                requests += multi.drop()
            pool.open_requests = pool.sent_requests = 0
        return requests

    def close(self) -> None:
        """Close every connection."""
        self.abandon()
        for pool in self._pools.values():
            pool.multi.close()
            for multi in pool.draining:
                multi.close()
        self._pools.clear()
