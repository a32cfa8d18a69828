"""The gateway on HTTP/2 spoken by ourselves: the least that a push needs, and so the least work.

A general client does much for every request that a push never uses; here a request is two frames
in a list, and all that a turn has collected goes to TLS at once. What is not HTTP/2 is left to the
gateway on libcurl, origin by origin.
"""

import math
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from select import POLLIN, POLLOUT, poll

from workers.counters import CONNECTIONS
from workers.gateway.curl.curl_gateway import CurlGateway
from workers.gateway.full_window import keep_full
from workers.gateway.http2.connecting import PROTOCOL, ConnectionAttempt, NotHttp2
from workers.gateway.http2.connection import Http2Connection
from workers.gateway.http2.events import Answers
from workers.gateway.http2.http2_pool import Http2Origin, Http2Pool
from workers.gateway.http2.liveness import Liveness
from workers.gateway.http2.session import Http2Session
from workers.gateway.http2.tls_transport import TlsTransport
from workers.gateway.network_guard import Guard
from workers.gateway.origin import CONNECT_TIMEOUT_S, REFRESH_EVERY_S, forbidden, not_sent
from workers.gateway.trust import TrustStore
from workers.gateway.waiting_requests import most_waiting
from workers.provider import Answer, Request

LONGEST_NAP_S = 0.1
SHORTEST_NAP_S = 0.002


class Http2Gateway:
    """`workers.gateway.contract.Gateway` says what each method promises."""

    def __init__(self, *, ca_file: Path | None, timeout_s: float) -> None:
        self._trust = TrustStore(ca_file)
        self._context = self._trust.context()
        self._context.set_alpn_protocols([PROTOCOL, "http/1.1"])
        self._timeout_s = timeout_s
        self._pools: dict[str, Http2Pool] = {}
        self._fallback = CurlGateway(ca_file=ca_file, timeout_s=timeout_s)
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
        """Open a pool or change it."""
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = Http2Pool(name, window, guard)
        elif pool.guard != guard:
            pool.drain()
        pool.window, pool.guard, pool.origin_window = window, guard, origin_window
        self._fallback.open_pool(name, window, guard, origin_window=origin_window)

    def room(self, pool: str) -> int:
        """Return how many more requests may be submitted now."""
        return max(self._pools[pool].room() - self._fallback.in_flight(pool), 0)

    def leave_until(self, moment: float) -> None:
        """Let nothing that waits leave after this moment."""
        self._leave_until = moment
        self._fallback.leave_until(moment)

    def in_flight(self, pool: str | None = None) -> int:
        """Return how many requests have not been answered."""
        pools = self._pools.values() if pool is None else [self._pools[pool]]
        return sum(each.open_requests for each in pools) + self._fallback.in_flight(pool)

    def submit(self, pool: str, request: Request) -> None:
        """Write the request to a connection, or let it wait for one."""
        entry = self._pools[pool]
        entry.open_requests += 1
        url = request.url
        origin = entry.origins.get(url[: url.find("/", 8)]) or entry.new_origin(url)
        if origin is None:
            self._answer(entry, request, forbidden("not an origin this pool may connect to"))
        elif not origin.speaks_http2:
            entry.open_requests -= 1
            self._fallback.submit(pool, request)
        elif (
            origin.waiting
            or origin not in entry.active
            or entry.sent_requests >= entry.window
            or (entry.origin_window is not None and not entry.has_room(origin))
        ):
            self._enqueue(entry, origin, request)
        elif (session := origin.available()) is not None:
            self._open_stream(entry, session, request, time.monotonic() + self._timeout_s)
        else:
            self._enqueue(entry, origin, request)

    def _open_stream(
        self, pool: Http2Pool, session: Http2Session, request: Request, deadline: float
    ) -> None:
        url = request.url
        begin = url.find("/", 8)
        path = url[begin:] if begin > 0 else "/"
        if "#" in path:
            path = path.partition("#")[0]
        try:
            session.connection.open_stream(request, path, deadline)
        except (ValueError, AttributeError, TypeError):
            self._answer(pool, request, forbidden("not a request that can be sent"))
        else:
            pool.sent_requests += 1

    def _enqueue(self, pool: Http2Pool, origin: Http2Origin, request: Request) -> None:
        limit = most_waiting(pool.window, pool.guard, pool.origin_window)
        deadline = time.monotonic() + 2 * self._timeout_s
        if origin.waiting.admit(request, deadline, limit):
            pool.active.add(origin)
        else:
            self._answer(pool, request, not_sent("too many wait for this origin already"))

    def _answer(self, pool: Http2Pool, request: Request, answer: Answer) -> None:
        pool.open_requests -= 1
        self._answers.append((request, answer))

    # ------------------------------------------------------------------ turns

    def poll(self, timeout: float) -> Answers:
        """Send and receive until there is an answer; at once when nothing is in flight."""
        until = time.monotonic() + timeout
        while True:
            for pool in self._pools.values():
                if pool.active:
                    self._turn(pool)
            if self._fallback.in_flight():
                self._answers += self._fallback.poll(0)
            time_left = until - time.monotonic()
            if self._answers or time_left <= 0 or not self.in_flight():
                answers, self._answers = self._answers, []
                return answers
            self._nap(time_left)

    def _turn(self, pool: Http2Pool) -> None:
        """Read what has come, give new connections their requests, write what is to be written."""
        now = time.monotonic()
        for origin in list(pool.active):
            before = len(self._answers)
            for session in origin.sessions:
                session.turn(now, self._answers)
                if session.connection.not_taken:
                    self._take_back(pool, origin, session, now)
            origin.sessions = [each for each in origin.sessions if not each.transport.closed]
            new_answers = len(self._answers) - before
            pool.sent_requests -= new_answers
            pool.open_requests -= new_answers
            self._release_waiting(pool, origin, now)
            for session in origin.sessions:
                session.flush()
            if origin.idle():
                pool.active.discard(origin)

    def _take_back(
        self, pool: Http2Pool, origin: Http2Origin, session: Http2Session, now: float
    ) -> None:
        """Let what the server has not looked at go first on the next connection (RFC 9113, 6.8)."""
        connection = session.connection
        requests, connection.not_taken = connection.not_taken, []
        pool.sent_requests -= len(requests)
        deadline = now + self._timeout_s
        origin.waiting.extendleft((each, deadline) for each in reversed(requests))

    def _release_waiting(self, pool: Http2Pool, origin: Http2Origin, now: float) -> None:
        """Let what waits go, over a new connection if it must be."""
        for late in origin.waiting.take_expired(now):
            self._answer(pool, late, not_sent("waited too long for a connection"))
        if origin.attempt is not None:
            self._continue(pool, origin, origin.attempt)
        while origin.waiting and now <= self._leave_until and pool.has_room(origin):
            session = origin.available()
            if session is None:
                self._connect(pool, origin, now)
                return
            request, _ = origin.waiting.popleft()
            self._open_stream(pool, session, request, now + self._timeout_s)

    def _connect(self, pool: Http2Pool, origin: Http2Origin, now: float) -> None:
        """Begin a new connection if those there are will not do."""
        if origin.needs_connection(now) and origin.attempt is None:
            origin.attempt = ConnectionAttempt(
                origin.host,
                origin.port,
                context=self._context,
                guard=pool.guard,
                resolvers=pool.resolvers,
            )

    def _continue(self, pool: Http2Pool, origin: Http2Origin, attempt: ConnectionAttempt) -> None:
        """Go on with a new connection; without any, what waits for it has its answer."""
        try:
            result = attempt.step()
        except NotHttp2:
            origin.attempt, origin.speaks_http2 = None, False
            for request in origin.waiting.take_all():
                pool.open_requests -= 1
                self._fallback.submit(pool.name, request)
            return
        if isinstance(result, Answer):
            origin.attempt = None
            CONNECTIONS.labels(pool.name, "failed").inc()
            if not origin.sessions:
                for request in origin.waiting.take_all():
                    self._answer(pool, request, result)
        elif result is not None:
            origin.attempt = None
            CONNECTIONS.labels(pool.name, "opened").inc()
            now = time.monotonic()
            connection = Http2Connection(origin.authority, now + CONNECT_TIMEOUT_S)
            liveness = Liveness(now, self._timeout_s)
            session = Http2Session(connection, TlsTransport(result), liveness)
            session.flush()
            origin.sessions.append(session)

    def _nap(self, longest: float) -> None:
        """Sleep until a socket has news or something else must be looked after."""
        nap = min(longest, LONGEST_NAP_S)
        wait = poll()
        if self._fallback.in_flight():
            nap = min(nap, SHORTEST_NAP_S)
        for pool in self._pools.values():
            for origin in pool.active:
                if origin.attempt is not None:
                    nap = min(nap, SHORTEST_NAP_S)
                for session in origin.sessions:
                    transport = session.transport
                    if transport.has_more:
                        return
                    events = POLLIN | POLLOUT if transport.has_unsent() else POLLIN
                    wait.register(transport, events)
        wait.poll(nap * 1000)

    # ----------------------------------------------------------------- endings

    def refresh(self, pool: str) -> None:
        """Give the pool new connections; not twice within seconds."""
        entry = self._pools[pool]
        if time.monotonic() - entry.refreshed_at >= REFRESH_EVERY_S:
            entry.refreshed_at = time.monotonic()
            entry.drain()
            self._fallback.refresh(pool)

    def send(self, pool: str, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
        """Send them all with the window kept full."""
        return keep_full(self, pool, requests)

    def recall(self, pool: str, origins: Collection[str] | None = None) -> list[Request]:
        """Take back what waits for a stream."""
        entry = self._pools[pool]
        waiting = [each.waiting for each in entry.active if each.waiting.are_for(origins)]
        requests = [request for each in waiting for request in each.take_all()]
        entry.open_requests -= len(requests)
        return requests + self._fallback.recall(pool, origins)

    def abandon(self) -> list[Request]:
        """Drop every request that is not answered; the connections stay for later ones."""
        requests = [request for request, _ in self._answers] + self._fallback.abandon()
        self._answers = []
        now = time.monotonic()
        for pool in self._pools.values():
            for origin in pool.active:
                requests += origin.waiting.take_all()
                for session in origin.sessions:
                    requests += session.cancel_all(now)
            pool.active = {origin for origin in pool.active if not origin.idle()}
            pool.open_requests = pool.sent_requests = 0
        return requests

    def close(self) -> None:
        """Close every connection."""
        self.abandon()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._fallback.close()
