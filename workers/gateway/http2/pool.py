"""The pools of the HTTP/2 gateway: what waits for a connection, and the connections there are."""

from dataclasses import dataclass, field

from workers.gateway.http2.connection import Connection
from workers.gateway.http2.dialing import Dial
from workers.gateway.network_guard import Guard
from workers.gateway.origin import origin_of, read_origin
from workers.gateway.waiting import MOST_ORIGINS, Waiting, room


@dataclass(slots=True, eq=False)
class Http2Origin:
    """One origin of a pool: its connections, and what waits for one (with deadlines)."""

    host: str
    port: int
    authority: str
    connections: list[Connection] = field(default_factory=list)
    waiting: Waiting = field(default_factory=Waiting)
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
        return (
            not self.waiting
            and self.dial is None
            and not any(each.streams for each in self.connections)
        )


@dataclass(slots=True, eq=False)
class Http2Pool:
    """One provider's requests. `handed` are on a connection, the others wait for one."""

    name: str
    window: int
    guard: Guard | None
    unanswered: int = 0
    handed: int = 0
    refreshed_at: float = 0.0
    origins: dict[str, Http2Origin] = field(default_factory=dict)
    active: set[Http2Origin] = field(default_factory=set)

    def room(self) -> int:
        """Return how many more may be submitted."""
        return room(self.window, self.guard, handed=self.handed, unanswered=self.unanswered)

    def new_origin(self, url: str) -> Http2Origin | None:
        """Return an origin for the URL; None when it has none that we would connect to."""
        name = origin_of(url)
        found = read_origin(name)
        if found is None or (found.scheme != "https" and self.guard is not None):
            return None
        if len(self.origins) >= MOST_ORIGINS:
            self._forget_idle()
        made = Http2Origin(found.host, found.port, name.partition("://")[2])
        made.elsewhere = found.scheme != "https"
        self.origins[name] = made
        return made

    def _forget_idle(self) -> None:
        for name in [name for name, each in self.origins.items() if each.idle()]:
            for connection in self.origins.pop(name).connections:
                connection.close()

    def drain(self) -> None:
        """Let nothing new onto the connections there are."""
        for origin in self.origins.values():
            for connection in origin.connections:
                connection.draining = True
            self.active.add(origin)
