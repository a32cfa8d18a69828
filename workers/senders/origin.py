"""One origin (scheme, host and port) of a lane: whether it is warm, and what waits for it.

A connection that has just been made does not yet know how many streams the server allows; APNs
allows one until it has seen a valid token. So an origin without a warm connection gets ONE
request, and the others wait here, outside the client, until its answer is in.
"""

from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from workers.provider import Answer, Failure, Request

DEFAULT_PORTS = {"https": 443, "http": 80}
AHEAD = 32
"""Most requests handed to the client that it has not begun to send: enough to keep every stream
busy, and few enough that their timeouts do not run while they wait for one."""


@dataclass(slots=True, eq=False)
class Origin:
    """What is known of one origin, and the requests that wait for it (with their deadlines)."""

    scheme: str
    host: str
    port: int
    warm: bool = False
    handed: int = 0
    """Requests that are with the client and not answered."""
    begun: int = 0
    """Those among them whose body has been read: they have a stream."""
    ahead: int = 0
    """Those that had none when the client last had its turn."""
    sockets: set[int] = field(default_factory=set)
    waiting: deque[tuple[Request, float]] = field(default_factory=deque)

    def ready(self) -> bool:
        """Whether one more request may be handed to the client now."""
        return self.ahead < AHEAD if self.warm else not self.handed

    def after_turn(self) -> None:
        """Take stock after the client has sent what it could."""
        self.ahead = self.handed - self.begun

    def cool(self) -> None:
        """Forget that it was warm: the next connection is a new one."""
        self.warm = False

    def expired(self, now: float) -> list[Request]:
        """Take out what has waited past its deadline."""
        late = []
        while self.waiting and self.waiting[0][1] <= now:
            late.append(self.waiting.popleft()[0])
        return late

    def give_up(self) -> list[Request]:
        """Take out all that waits: there is no way to the origin just now."""
        all_of_them = [request for request, _ in self.waiting]
        self.waiting.clear()
        return all_of_them


def origin_of(url: str) -> str:
    """Return the part of the URL before its path: cheap, for it is done for every request."""
    end = url.find("/", 8)
    return url if end < 0 else url[:end]


def read_origin(text: str) -> Origin | None:
    """Return the origin spelt `scheme://host:port`; None when it is none, or carries a login."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    wellformed = parts.scheme in DEFAULT_PORTS and parts.hostname and "@" not in parts.netloc
    if not wellformed or parts.query or parts.fragment or parts.path:
        return None
    return Origin(parts.scheme, parts.hostname or "", port or DEFAULT_PORTS[parts.scheme])


def not_sent(detail: str) -> Answer:
    """Return the answer of a request that certainly has not left."""
    return Answer(0, failure=Failure.NOT_SENT, detail=detail)


def forbidden(detail: str) -> Answer:
    """Return the answer of a request that we refuse to send."""
    return Answer(0, failure=Failure.FORBIDDEN, detail=detail)
