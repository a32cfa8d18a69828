"""All HTTP to providers. THE PUSH LEAVES HERE.

The gateway takes requests and gives answers; it knows nothing of alerts, devices or providers'
rules. It is single-threaded and lives as long as its process, so that connections stay warm from
one batch to the next. Each provider has a lane: a window of requests in flight that no other
provider can fill. Three senders keep the one contract: `wire`, our own HTTP/2, is the usual one;
`curl`, libcurl, takes what speaks no HTTP/2, or everything; `httpx` is there to trace.

    fan_out -> deliver -> gateway.submit ... gateway.poll -> deliver -> verdicts
                             |                    ^
                             v                    |
              one HTTP/2 connection per origin, many streams

What all promise:

- every request that was submitted comes back from `poll` exactly once, whatever its neighbours do;
- no POST is sent twice behind our back: a broken connection is an answer like any other;
- TLS is verified, redirects are not followed, no proxy is taken from the environment;
- in a guarded lane each connection goes to a public address, judged when it is made.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from service.settings import Settings
from workers.gateway.network_guard import Guard
from workers.provider import Answer, Request


class Gateway(Protocol):
    """Where requests leave and answers come back. For one thread of one process."""

    def open_lane(self, name: str, window: int, guard: Guard | None = None) -> None:
        """Open a provider's lane of `window` requests, or change it; safe to repeat.

        Without `guard` the origin is trusted (an operator set it). With one, only https to public
        addresses passes, and to those that `guard(host, port)` says may be private.
        """
        ...

    def room(self, lane: str) -> int:
        """Return how many more requests may be submitted now."""
        ...

    def submit(self, lane: str, request: Request) -> None:
        """Take a request to send as soon as may be; its answer comes from `poll`."""
        ...

    def poll(self, timeout: float) -> list[tuple[Request, Answer]]:
        """Send and receive; return as soon as there are answers, at the latest after `timeout`."""
        ...

    def in_flight(self, lane: str | None = None) -> int:
        """Return how many requests of the lane, or of all, have not been answered."""
        ...

    def refresh(self, lane: str) -> None:
        """Send the lane's later requests on new connections; those in flight stay on theirs."""
        ...

    def send(self, lane: str, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
        """Send them all with the window kept full; yields in the order of the answers."""
        ...

    def abandon(self) -> list[Request]:
        """Stop waiting: return what was in flight, each with an outcome nobody knows."""
        ...

    def close(self) -> None:
        """Close every connection. What is in flight is abandoned."""
        ...


def open_gateway(settings: Settings) -> Gateway:
    """Return the gateway with the sender that the settings name.

    To be called after a fork, in the process that will use it.
    """
    sender = _sender(settings.sender)
    return sender(ca_file=settings.ca_file, timeout_s=settings.request_timeout_s)


def _sender(name: str) -> Callable[..., Gateway]:
    """Return the class of that sender; only the one that is used is loaded."""
    if name == "httpx":
        from workers.gateway.httpx.httpx_gateway import HttpxSender  # noqa: PLC0415 - see above

        return HttpxSender
    if name == "curl":
        from workers.gateway.curl.curl_gateway import CurlSender  # noqa: PLC0415 - see above

        return CurlSender
    from workers.gateway.http2.http2_gateway import WireSender  # noqa: PLC0415 - see above

    return WireSender
