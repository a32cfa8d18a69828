"""What every gateway promises: all HTTP to providers, and no rule of theirs.

The gateway takes requests and gives answers; it knows nothing of alerts, devices or providers'
rules. It is single-threaded and lives as long as its process, so that connections stay warm from
one batch to the next. Each provider has a pool: its connections, and a window of requests in
flight that no other provider can fill. Three gateways keep the one contract: `http2`, our own
HTTP/2, is the usual one; `curl`, libcurl, takes what speaks no HTTP/2, or everything; `httpx` is
there to trace.

    fan_out -> deliver -> gateway.submit ... gateway.poll -> deliver -> verdicts
                             |                    ^
                             v                    |
              one HTTP/2 connection per origin, many streams

What all promise:

- every request that was submitted comes back exactly once, whatever its neighbours do: from `poll`
  with its answer, or from `recall`, as if it had never been submitted;
- no POST is sent twice behind our back: a broken connection is an answer like any other; only what
  a server says it has not looked at, as it ends a connection in peace, goes over the next one;
- no connection is judged by its silence alone, and none that stays silent is used again;
- TLS is verified, redirects are not followed, no proxy is taken from the environment;
- in a guarded pool each connection goes to a public address, judged when it is made.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from workers.gateway.network_guard import Guard
from workers.provider import Answer, Request


class Gateway(Protocol):
    """Where requests leave and answers come back. For one thread of one process.

    Requests come back as the very objects that were submitted; `Exchanges` pairs each with what
    its caller knows of it.
    """

    def open_pool(
        self,
        name: str,
        window: int,
        guard: Guard | None = None,
        *,
        origin_window: int | None = None,
    ) -> None:
        """Open a provider's pool of `window` requests, or change it; safe to repeat.

        With `origin_window` no origin takes more than so many of them: hanging servers leave room.

        Without `guard` the origin is trusted (an operator set it). With one, only https to public
        addresses passes, and to those that `guard(host, port)` says may be private.
        """
        ...

    def room(self, pool: str) -> int:
        """Return how many more requests may be submitted now."""
        ...

    def submit(self, pool: str, request: Request) -> None:
        """Take a request to send as soon as may be; its answer comes from `poll`."""
        ...

    def poll(self, timeout: float) -> list[tuple[Request, Answer]]:
        """Send and receive; return as soon as there are answers, at the latest after `timeout`."""
        ...

    def leave_until(self, moment: float) -> None:
        """Let nothing that waits leave after this moment (monotonic), until there is a later one.

        It waits on, or is recalled. The process may be stopped between two looks at the clock.
        """
        ...

    def in_flight(self, pool: str | None = None) -> int:
        """Return how many requests of the pool, or of all, have not been answered."""
        ...

    def refresh(self, pool: str) -> None:
        """Send the pool's later requests on new connections; those in flight stay on theirs."""
        ...

    def send(self, pool: str, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
        """Send them all with the window kept full; yields in the order of the answers."""
        ...

    def recall(self, pool: str, origins: Collection[str] | None = None) -> list[Request]:
        """Take back the pool's requests of which nothing has left; they get no answer.

        They wait for a connection, or for the server to allow another stream. With `origins`
        (scheme, host and port, as in the URLs) only those that are for one of them.
        """
        ...

    def abandon(self) -> list[Request]:
        """Stop waiting: return what was in flight, each with an outcome nobody knows."""
        ...

    def close(self) -> None:
        """Close every connection. What is in flight is abandoned."""
        ...
