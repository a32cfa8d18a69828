"""The gateway on HTTP/2 spoken by ourselves: the least that a push needs, and so the least work.

A general client does much for every request that a push never uses; here a request is two frames
in a list, and all that a turn has collected goes to TLS at once. What is not HTTP/2 is left to the
sender on libcurl, origin by origin.
"""

import ssl
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from select import POLLIN, POLLOUT, poll

from workers.network_guard import Guard
from workers.provider import Answer, Request
from workers.senders.curl_sender import CurlSender
from workers.senders.origin import (
    CONNECT_TIMEOUT_S,
    REFRESH_EVERY_S,
    USER_AGENT,
    forbidden,
    not_sent,
    origin_of,
    read_origin,
)
from workers.senders.streaming import keep_full
from workers.senders.trust import TrustStore
from workers.senders.wire_connection import Connection
from workers.senders.wire_dial import PROTOCOL, Dial, NotHttp2
from workers.senders.wire_frames import BrokenFrame

FULL = 64
"""Streams a connection must allow for a second one to be worth it: fewer mean "slowly"."""
MOST_CONNECTIONS = 10
MOST_ORIGINS = 1_000
LONGEST_NAP_S = 0.1
SHORTEST_NAP_S = 0.002
PATIENCE_S = 1.0
"""How long a crowd may wait for one of many origins before later comers are turned away."""
RESOLVERS = 4

Taken = list[tuple[Request, Answer]]


@dataclass(slots=True, eq=False)
class Origin:
    """One origin of a lane: its connections, and what waits for one (with deadlines)."""

    host: str
    port: int
    authority: str
    connections: list[Connection] = field(default_factory=list)
    waiting: deque[tuple[Request, float]] = field(default_factory=deque)
    dial: Dial | None = None
    elsewhere: bool = False
    """It speaks no HTTP/2: the other sender has it."""

    def open(self) -> Connection | None:
        """Return a connection that can take a request now."""
        for each in self.connections:
            if each.free() > 0:
                return each
        return None

    def idle(self) -> bool:
        """Whether it could be forgotten."""
        return not self.waiting and self.dial is None and not any(
            each.streams for each in self.connections
        )


@dataclass(slots=True, eq=False)
class Lane:
    """One provider's requests. `handed` are on a connection, the others wait for one."""

    name: str
    window: int
    guard: Guard | None
    unanswered: int = 0
    handed: int = 0
    refreshed_at: float = 0.0
    origins: dict[str, Origin] = field(default_factory=dict)
    active: set[Origin] = field(default_factory=set)


class WireSender:
    """`workers.gateway.Gateway` says what each method promises."""

    def __init__(self, *, ca_file: Path | None, timeout_s: float) -> None:
        self._trust = TrustStore(ca_file)
        self._context = self._trust.context()
        self._context.set_alpn_protocols([PROTOCOL, "http/1.1"])
        self._timeout_s = timeout_s
        self._lanes: dict[str, Lane] = {}
        self._resolvers = ThreadPoolExecutor(RESOLVERS, "resolver")
        self._other = CurlSender(ca_file=ca_file, timeout_s=timeout_s)
        self._taken: Taken = []

    def open_lane(self, name: str, window: int, guard: Guard | None = None) -> None:
        """Open a lane or change it."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, window, guard)
        elif lane.guard is not guard:
            self._drain(lane)
        lane.window, lane.guard = window, guard
        self._other.open_lane(name, window, guard)

    def room(self, lane: str) -> int:
        """Return how many more requests may be submitted now."""
        own = self._lanes[lane]
        spare = own.window if own.guard is not None else 0
        elsewhere = self._other.in_flight(lane)
        room = min(own.window - own.handed, own.window + spare - own.unanswered)
        return max(room - elsewhere, 0)

    def in_flight(self, lane: str | None = None) -> int:
        """Return how many requests have not been answered."""
        lanes = self._lanes.values() if lane is None else [self._lanes[lane]]
        return sum(each.unanswered for each in lanes) + self._other.in_flight(lane)

    def submit(self, lane: str, request: Request) -> None:
        """Write the request to a connection, or let it wait for one."""
        own = self._lanes[lane]
        own.unanswered += 1
        url = request.url
        origin = own.origins.get(url[: url.find("/", 8)]) or self._new_origin(own, url)
        if origin is None:
            self._answer(own, request, forbidden("not an origin this lane may connect to"))
        elif origin.elsewhere:
            own.unanswered -= 1
            self._other.submit(lane, request)
        elif origin.waiting or origin not in own.active or own.handed >= own.window:
            self._wait(own, origin, request)
        elif (connection := origin.open()) is not None:
            self._begin(own, connection, request, time.monotonic() + self._timeout_s)
        else:
            self._wait(own, origin, request)

    def _new_origin(self, lane: Lane, url: str) -> Origin | None:
        name = origin_of(url)
        found = read_origin(name)
        if found is None or (found.scheme != "https" and lane.guard is not None):
            return None
        if len(lane.origins) >= MOST_ORIGINS:
            lane.origins = {n: each for n, each in lane.origins.items() if not each.idle()}
        made = Origin(found.host, found.port, name.partition("://")[2])
        made.elsewhere = found.scheme != "https"
        lane.origins[name] = made
        return made

    def _begin(self, lane: Lane, connection: Connection, request: Request, until: float) -> None:
        url = request.url
        begin = url.find("/", 8)
        path = url[begin:].partition("#")[0] if begin > 0 else "/"
        try:
            connection.begin(request, path, until)
        except (ValueError, AttributeError, TypeError):
            self._answer(lane, request, forbidden("not a request that can be sent"))
        else:
            lane.handed += 1

    def _wait(self, lane: Lane, origin: Origin, request: Request) -> None:
        deadline = time.monotonic() + 2 * self._timeout_s
        crowded = lane.guard is not None and len(origin.waiting) >= lane.window // 2
        if crowded and origin.waiting[0][1] < deadline - PATIENCE_S:
            self._answer(lane, request, not_sent("too many wait for this origin already"))
            return
        origin.waiting.append((request, deadline))
        lane.active.add(origin)

    def _answer(self, lane: Lane, request: Request, answer: Answer) -> None:
        lane.unanswered -= 1
        self._taken.append((request, answer))

    # ------------------------------------------------------------------ turns

    def poll(self, timeout: float) -> Taken:
        """Send and receive until there is an answer; at once when nothing is in flight."""
        until = time.monotonic() + timeout
        while True:
            for lane in self._lanes.values():
                if lane.active:
                    self._turn(lane)
            if self._other.in_flight():
                self._taken += self._other.poll(0)
            left = until - time.monotonic()
            if self._taken or left <= 0 or not self.in_flight():
                taken, self._taken = self._taken, []
                return taken
            self._nap(left)

    def _turn(self, lane: Lane) -> None:
        now = time.monotonic()
        before = len(self._taken)
        for origin in list(lane.active):
            for connection in list(origin.connections):
                self._exchange(origin, connection, now)
        answered = len(self._taken) - before
        lane.handed -= answered
        lane.unanswered -= answered
        for origin in list(lane.active):
            self._supply(lane, origin, now)
            if origin.idle():
                lane.active.discard(origin)

    def _exchange(self, origin: Origin, connection: Connection, now: float) -> None:
        """Write what is to be written, read what has come."""
        try:
            connection.flush()
            connection.receive(self._taken)
            connection.expire(now, self._taken)
            connection.flush()
            why = connection.overdue(now)
        except (OSError, BrokenFrame, ValueError) as error:
            why = f"the connection broke ({type(error).__name__})"
        if why:
            connection.lose(why, self._taken)
        elif connection.draining and not connection.streams:
            connection.close()
        if connection.closed:
            origin.connections.remove(connection)

    def _supply(self, lane: Lane, origin: Origin, now: float) -> None:
        """Let what waits go, over a new connection if it must be."""
        while origin.waiting and origin.waiting[0][1] <= now:
            late, _ = origin.waiting.popleft()
            self._answer(lane, late, not_sent("waited too long for a connection"))
        if origin.dial is not None:
            self._step(lane, origin)
        while origin.waiting and lane.handed < lane.window:
            connection = origin.open()
            if connection is None:
                self._connect(lane, origin)
                return
            request, _ = origin.waiting.popleft()
            self._begin(lane, connection, request, now + self._timeout_s)
        for connection in origin.connections:
            if connection.has_news():
                self._exchange_quietly(origin, connection)

    def _connect(self, lane: Lane, origin: Origin) -> None:
        """Begin a new connection if those there are will not do."""
        usable = [each for each in origin.connections if not each.draining]
        full = all(each.limit >= FULL for each in usable)
        if origin.dial is None and full and len(usable) < MOST_CONNECTIONS:
            origin.dial = Dial(
                origin.host,
                origin.port,
                context=self._context,
                guard=lane.guard,
                resolvers=self._resolvers,
            )

    def _step(self, lane: Lane, origin: Origin) -> None:
        dial = origin.dial
        if dial is None:
            return
        try:
            found = dial.step()
        except NotHttp2:
            origin.dial, origin.elsewhere = None, True
            for request, _ in origin.waiting:
                lane.unanswered -= 1
                self._other.submit(lane.name, request)
            origin.waiting.clear()
            return
        if isinstance(found, ssl.SSLSocket):
            origin.dial = None
            origin.connections.append(Connection(found, origin.authority))
        elif found is not None:
            origin.dial = None
            if not origin.connections:
                for request, _ in origin.waiting:
                    self._answer(lane, request, found)
                origin.waiting.clear()
