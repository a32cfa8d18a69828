"""One origin (scheme, host and port) of a lane: whether it is warm, and what waits for it.

A connection that has just been made does not yet know how many streams the server allows; APNs
allows one until it has seen a valid token. So an origin without a warm connection gets ONE
request, and the others wait here, outside the client, until its answer is in.
"""

from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from workers.provider import Answer, Failure, Request
from workers.senders.borrowed_socket import BorrowedSocket

DEFAULT_PORTS = {"https": 443, "http": 80}
AHEAD = 32
"""Most requests handed to the client, once it is known to have no free stream, that wait for one:
enough to keep every stream busy, and few enough that their timeouts hardly run while they wait."""
FIRST_LIMIT = 100
"""What nearly every server allows; tried first, then doubled for as long as nothing gets stuck."""


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
    limit: int = FIRST_LIMIT
    """How many may be with the client at once, as far as was learnt."""
    sockets: list[BorrowedSocket] = field(default_factory=list)
    waiting: deque[tuple[Request, float]] = field(default_factory=deque)
    _looked_at: int = -1

    def ready(self, turn: int) -> bool:
        """Whether one more may be handed over; `turn` counts the times the client had to send."""
        if not self.warm:
            return not self.handed
        if turn != self._looked_at:
            self._looked_at = turn
            self._learn()
        return self.handed < self.limit

    def _learn(self) -> None:
        if self.handed > self.begun:
            self.limit = self.begun + AHEAD
        else:
            self.limit = max(self.limit, 2 * self.handed)

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
