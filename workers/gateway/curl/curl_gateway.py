"""The gateway on libcurl: HTTP/2 with all of a provider's requests on one warm connection.

Why libcurl, why its `perform` and why corked sockets: README, decisions. What it must not do by
itself (send a POST again) is prevented in `curl_transfer`.
"""

import select
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workers.gateway.curl.multi import Pool
from workers.gateway.network_guard import Guard
from workers.gateway.origin import (
    REFRESH_EVERY_S,
    Origin,
    forbidden,
    not_sent,
    origin_of,
    read_origin,
)
from workers.gateway.streaming import keep_full
from workers.gateway.trust import TrustStore
from workers.gateway.waiting import MOST_ORIGINS, Waiting, room
from workers.provider import Answer, Request

LONGEST_NAP_S = 0.01
"""How long to sleep at most without looking: libcurl also waits for things we do not watch."""

Taken = list[tuple[Request, Answer]]


@dataclass(slots=True, eq=False)
class Lane:
    """One provider's requests. `handed` are with libcurl, the others wait for their origin."""

    window: int
    guard: Guard | None
    pool: Pool
    unanswered: int = 0
    handed: int = 0
    origins: dict[str, Origin] = field(default_factory=dict)
    waiting: set[Origin] = field(default_factory=set)
    running_dry: list[Pool] = field(default_factory=list)

    def room(self) -> int:
        """Return how many more may be submitted."""
        return room(self.window, self.guard, handed=self.handed, unanswered=self.unanswered)

    def may_go(self, origin: Origin) -> bool:
        """Whether one more request for the origin may be handed to libcurl now."""
        if self.handed >= self.window:
            return False
        if origin.turn == self.pool.turns and origin.warm and origin.handed:
            return origin.handed < origin.limit
        return self.pool.may_go(origin)

    def origin(self, url: str) -> Origin | None:
        """Return the URL's origin; None when it has none that we would connect to."""
        name = origin_of(url)
        known = self.origins.get(name)
        if known is None:
            known = read_origin(name)
            if known is None or (self.guard is not None and known.scheme != "https"):
                return None
            if len(self.origins) >= MOST_ORIGINS:
                self._forget_idle()
            self.origins[name] = known
        return known

    def _forget_idle(self) -> None:
        idle = [name for name, each in self.origins.items() if not (each.handed or each.waiting)]
        for name in idle:
            del self.origins[name]

    def pools(self) -> list[Pool]:
        """Return every pool with requests in flight, closing those that have run dry."""
        for dry in [pool for pool in self.running_dry if not pool.running]:
            dry.close()
            self.running_dry.remove(dry)
        return [pool for pool in (self.pool, *self.running_dry) if pool.running]


class CurlSender:
    """`workers.gateway.contract.Gateway` says what each method promises."""

    def __init__(self, *, ca_file: Path | None, timeout_s: float) -> None:
        self._trust = TrustStore(ca_file)
        self._timeout_s = timeout_s
        self._lanes: dict[str, Lane] = {}
        self._at_once: Taken = []

    def open_lane(self, name: str, window: int, guard: Guard | None = None) -> None:
        """Open a lane or change it. Its guard can change only while nothing is in flight."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(window, guard, self._new_pool(guard))
        elif lane.guard != guard:
            self._renew(lane, guard)
        lane.window = window
        lane.pool.allow(window)

    def _new_pool(self, guard: Guard | None) -> Pool:
        return Pool(ca_path=self._trust.path, timeout_s=self._timeout_s, guard=guard)

    def room(self, lane: str) -> int:
        """Return how many more requests may be submitted now."""
        return self._lanes[lane].room()

    def in_flight(self, lane: str | None = None) -> int:
        """Return how many requests have not been answered."""
        if lane is not None:
            return self._lanes[lane].unanswered
        return sum(each.unanswered for each in self._lanes.values())

    def submit(self, lane: str, request: Request) -> None:
        """Hand the request to libcurl, or let it wait until its origin is warm."""
        own = self._lanes[lane]
        own.unanswered += 1
        url = request.url
        origin = own.origins.get(url[: url.find("/", 8)]) or own.origin(url)
        if origin is None:
            self._answer(own, request, forbidden("not an origin this lane may connect to"))
        elif origin.waiting or not own.may_go(origin):
            self._wait(own, origin, request)
        else:
            self._hand(own, origin, request)

    def _hand(self, lane: Lane, origin: Origin, request: Request) -> None:
        impossible = lane.pool.hand(request, origin)
        if impossible is not None:
            self._answer(lane, request, impossible)
        else:
            lane.handed += 1

    def _wait(self, lane: Lane, origin: Origin, request: Request) -> None:
        deadline = time.monotonic() + 2 * self._timeout_s
        if lane.guard is not None and origin.waiting.is_crowd(lane.window // 2, deadline):
            self._answer(lane, request, not_sent("too many wait for this origin already"))
            return
        origin.waiting.append((request, deadline))
        lane.waiting.add(origin)

    def _answer(self, lane: Lane, request: Request, answer: Answer) -> None:
        lane.unanswered -= 1
        self._at_once.append((request, answer))

    def poll(self, timeout: float) -> Taken:
        """Send and receive until there is an answer; at once when nothing is in flight."""
        until = time.monotonic() + timeout
        while True:
            for lane in self._lanes.values():
                if lane.unanswered:
                    self._turn(lane)
            if self._at_once or not self.in_flight():
                taken, self._at_once = self._at_once, []
                return taken
            left = until - time.monotonic()
            if left <= 0:
                return []
            self._nap(left)

    def _turn(self, lane: Lane) -> None:
        taken = self._at_once
        if lane.waiting:
            self._release(lane)
        for pool in lane.pools():
            before = len(taken)
            closed = pool.turn(taken)
            answered = len(taken) - before
            lane.handed -= answered
            lane.unanswered -= answered
            for origin, why in closed:
                for request in origin.waiting.give_up():
                    self._answer(lane, request, why)
        if lane.waiting:
            self._release(lane)

    def _release(self, lane: Lane) -> None:
        """Hand over what has waited and may go now; answer what has waited for too long."""
        now = time.monotonic()
        for origin in list(lane.waiting):
            for request in origin.waiting.late(now):
                self._answer(lane, request, not_sent("waited too long for a connection"))
            while origin.waiting and lane.may_go(origin):
                self._hand(lane, origin, origin.waiting.popleft()[0])
            if not origin.waiting:
                lane.waiting.discard(origin)

    def _nap(self, longest: float) -> None:
        """Sleep until a socket has news, or libcurl or we must look after something."""
        nap = min(longest, LONGEST_NAP_S)
        wait = select.poll()
        for lane in self._lanes.values():
            for pool in lane.pools():
                asked = pool.nap_s()
                nap = nap if asked is None else min(nap, asked)
                reading, writing = pool.sockets()
                for fd in reading:
                    wait.register(fd, select.POLLIN | (select.POLLOUT if fd in writing else 0))
                for fd in writing:
                    wait.register(fd, select.POLLOUT | (select.POLLIN if fd in reading else 0))
        wait.poll(nap * 1000)

    def refresh(self, lane: str) -> None:
        """Give the lane new connections; not twice within seconds."""
        own = self._lanes[lane]
        if time.monotonic() - own.pool.opened_at >= REFRESH_EVERY_S:
            self._renew(own, own.guard)

    def _renew(self, lane: Lane, guard: Guard | None) -> None:
        lane.running_dry.append(lane.pool)
        lane.guard = guard
        lane.pool = self._new_pool(guard)
        lane.pool.allow(lane.window)
        old, lane.origins, lane.waiting = lane.origins, {}, set()
        for name, origin in old.items():
            if origin.waiting:
                fresh = Origin(origin.scheme, origin.host, origin.port, waiting=origin.waiting)
                lane.origins[name] = fresh
                lane.waiting.add(fresh)
                origin.waiting = Waiting()

    def send(self, lane: str, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
        """Send them all with the window kept full."""
        return keep_full(self, lane, requests)

    def abandon(self) -> list[Request]:
        """Drop every request that is not answered; the connections stay for later ones."""
        lost = [request for request, _ in self._at_once]
        self._at_once = []
        for lane in self._lanes.values():
            for origin in lane.waiting:
                lost += origin.waiting.give_up()
            lane.waiting.clear()
            for pool in lane.pools():
                lost += pool.drop()
            lane.unanswered = lane.handed = 0
        return lost

    def close(self) -> None:
        """Close every connection."""
        self.abandon()
        for lane in self._lanes.values():
            lane.pool.close()
            for pool in lane.running_dry:
                pool.close()
        self._lanes.clear()
