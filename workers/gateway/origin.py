"""One origin (scheme, host and port) of a pool: whether it is warm, and what waits for it.

A connection that has just been made does not yet know how many streams the server allows; APNs
allows one until it has seen a valid token. So an origin without a warm connection gets ONE
request, and the others wait here, outside the client, until its answer is in.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.domain.network import DEFAULT_PORTS
from workers.gateway.client_socket import LentSocket, SocketState
from workers.gateway.waiting_requests import WaitingRequests
from workers.provider import Answer, Failure

CONNECT_TIMEOUT_S = 5.0
USER_AGENT = "newszop"
REFRESH_EVERY_S = 5.0
"""New connections over and over look like an attack to a provider."""
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
    sent_requests: int = 0
    """Requests that are with the client and not answered."""
    start_count: int = 0
    """Those among them whose body has been read: they have a stream."""
    limit: int = FIRST_LIMIT
    """How many may be with the client at once, as far as was learnt."""
    turn: int = -1
    """The client's turn after which stock was taken last."""
    stuck_since: float | None = None
    """Since when (monotonic) there was no free stream for some of them."""
    is_lost: bool = False
    """Whether its connection was found dead: the next request takes a new one."""
    sockets: list[LentSocket] = field(default_factory=list)
    waiting: WaitingRequests = field(default_factory=WaitingRequests)

    def learn(self, now: float) -> None:
        """Take stock, before anything more is handed over, of what the client could send."""
        if self.sent_requests > self.start_count:
            self.limit = self.start_count + AHEAD
            self.stuck_since = self.stuck_since or now
        else:
            self.limit = max(self.limit, 2 * self.sent_requests)
            self.stuck_since = None

    def ready(self) -> bool:
        """Whether one more request may be handed to the client now."""
        return self.sent_requests < self.limit if self.warm else not self.sent_requests

    def lose(self) -> None:
        """Take its connection for lost: one request tries another."""
        self.warm, self.is_lost = False, True

    def check_sockets(self) -> None:
        """Before an idle origin is used again, see whether its connection is still there.

        One that has something to tell is asked with a single request first.
        """
        self.warm = False
        for each in self.sockets:
            state = each.state()
            self.warm = self.warm or state is SocketState.QUIET
            if state is SocketState.DEAD:
                each.shut_down()
                self.is_lost = True


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
    is_well_formed = parts.scheme in DEFAULT_PORTS and parts.hostname and "@" not in parts.netloc
    if not is_well_formed or parts.query or parts.fragment or parts.path:
        return None
    return Origin(parts.scheme, parts.hostname or "", port or DEFAULT_PORTS[parts.scheme])


def not_sent(detail: str) -> Answer:
    """Return the answer of a request that certainly has not left."""
    return Answer(0, failure=Failure.NOT_SENT, detail=detail)


def forbidden(detail: str) -> Answer:
    """Return the answer of a request that we refuse to send."""
    return Answer(0, failure=Failure.FORBIDDEN, detail=detail)
