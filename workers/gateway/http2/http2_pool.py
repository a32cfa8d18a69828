"""The pools of the HTTP/2 gateway: what waits for a connection, and the connections there are."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from workers.gateway.http2.connecting import ConnectionAttempt
from workers.gateway.http2.session import Http2Session
from workers.gateway.network_guard import Guard
from workers.gateway.origin import origin_of, read_origin
from workers.gateway.waiting_requests import MOST_ORIGINS, WaitingRequests, free_room

FULL_CONNECTION = 64
"""Streams a connection must allow for a second one to be worth it: fewer mean "slowly"."""
MOST_CONNECTIONS = 10
RESOLVERS = 4
RESOLVERS_FOR_STRANGERS = 32
"""Threads that look hosts up: one that nobody answers for keeps its thread for many seconds."""
MOST_SESSIONS = 2 * MOST_CONNECTIONS
"""Connections to one origin together with those that are ending."""


@dataclass(slots=True, eq=False)
class Http2Origin:
    """One origin of a pool: its connections, and what waits for one (with deadlines)."""

    host: str
    port: int
    authority: str
    sessions: list[Http2Session] = field(default_factory=list)
    waiting: WaitingRequests = field(default_factory=WaitingRequests)
    attempt: ConnectionAttempt | None = None
    speaks_http2: bool = True
    """Whether its requests are ours; otherwise libcurl sends them."""

    def available(self) -> Http2Session | None:
        """Return a session that can take a request now."""
        for session in self.sessions:
            if session.liveness.is_trusted and session.connection.available_streams() > 0:
                return session
        return None

    def needs_connection(self, now: float) -> bool:
        """Whether those there are will not do; what was idle for long is asked for a sign first."""
        usable = [
            each
            for each in self.sessions
            if not each.connection.draining and not each.liveness.is_overdue(now)
        ]
        for session in usable:
            if session.liveness.needs_ping():
                session.ping(now)
        full = all(each.connection.is_full(FULL_CONNECTION) for each in usable)
        return full and len(usable) < MOST_CONNECTIONS and len(self.sessions) < MOST_SESSIONS

    def open_streams(self) -> int:
        """Return how many requests are with the server."""
        return sum(len(session.connection.streams) for session in self.sessions)

    def idle(self) -> bool:
        """Whether it could be forgotten."""
        return (
            not self.waiting
            and self.attempt is None
            and not any(session.connection.streams for session in self.sessions)
        )


@dataclass(slots=True, eq=False)
class Http2Pool:
    """One provider's requests. `sent_requests` are on a connection, the others wait."""

    name: str
    window: int
    guard: Guard | None
    origin_window: int | None = None
    """Most requests in flight to one origin; None: as many as to all."""
    open_requests: int = 0
    sent_requests: int = 0
    refreshed_at: float = 0.0
    origins: dict[str, Http2Origin] = field(default_factory=dict)
    active: set[Http2Origin] = field(default_factory=set)
    resolvers: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Look up its hosts in threads of its own: no other pool waits for them."""
        count = RESOLVERS if self.guard is None else RESOLVERS_FOR_STRANGERS
        self.resolvers = ThreadPoolExecutor(count, f"{self.name}-resolver")

    def room(self) -> int:
        """Return how many more may be submitted."""
        return free_room(
            self.window,
            self.guard,
            sent_requests=self.sent_requests,
            open_requests=self.open_requests,
        )

    def has_room(self, origin: Http2Origin) -> bool:
        """Whether one more request to the origin may be in flight."""
        return self.sent_requests < self.window and (
            self.origin_window is None or origin.open_streams() < self.origin_window
        )

    def new_origin(self, url: str) -> Http2Origin | None:
        """Return an origin for the URL; None when it has none that we would connect to."""
        name = origin_of(url)
        parts = read_origin(name)
        if parts is None or (parts.scheme != "https" and self.guard is not None):
            return None
        if len(self.origins) >= MOST_ORIGINS:
            self._forget_idle()
        origin = Http2Origin(parts.host, parts.port, name.partition("://")[2])
        origin.speaks_http2 = parts.scheme == "https"
        self.origins[name] = origin
        return origin

    def _forget_idle(self) -> None:
        for name in [name for name, each in self.origins.items() if each.idle()]:
            for session in self.origins.pop(name).sessions:
                session.close()

    def drain(self) -> None:
        """Let nothing new onto the connections there are."""
        for origin in self.origins.values():
            for session in origin.sessions:
                session.connection.drain()
            self.active.add(origin)

    def close(self) -> None:
        """Close every connection, and give up what is being looked up."""
        for origin in self.origins.values():
            for session in origin.sessions:
                session.close()
            if origin.attempt is not None:
                origin.attempt.close()
        self.resolvers.shutdown(wait=False, cancel_futures=True)
