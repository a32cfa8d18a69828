"""Requests that wait for a connection to their origin, and how many may."""

from collections import deque
from collections.abc import Collection

from service.domain.network import origin_of
from workers.gateway.network_guard import Guard
from workers.provider import Request

CROWD_WAIT_S = 1.0
"""How long a crowd may wait for one of many origins before further requests are turned away."""
MOST_ORIGINS = 1_000
"""Origins that a pool remembers; idle ones are forgotten beyond these."""


class WaitingRequests(deque[tuple[Request, float]]):
    """Requests that wait for one origin, oldest first, each with its deadline (monotonic)."""

    def admit(self, request: Request, deadline: float, limit: int | None) -> bool:
        """Let one more wait; False where it would join `limit` that get nowhere."""
        if limit is not None and len(self) >= limit and self[0][1] < deadline - CROWD_WAIT_S:
            return False
        self.append((request, deadline))
        return True

    def take_expired(self, now: float) -> list[Request]:
        """Take out what has waited past its deadline."""
        expired = []
        while self and self[0][1] <= now:
            expired.append(self.popleft()[0])
        return expired

    def are_for(self, origins: Collection[str] | None) -> bool:
        """Whether they wait for one of the origins; None stands for all."""
        return origins is None or (bool(self) and origin_of(self[0][0].url) in origins)

    def take_all(self) -> list[Request]:
        """Take out all: there is no way to the origin just now."""
        requests = [request for request, _ in self]
        self.clear()
        return requests


def most_waiting(window: int, guard: Guard | None, origin_window: int | None) -> int | None:
    """Return how many requests may wait for one origin; None: as many as the pool has room for."""
    if guard is None:
        return None
    limit = window // 2 if origin_window is None else min(window // 2, origin_window)
    return max(limit, 1)


def free_room(window: int, guard: Guard | None, *, sent_requests: int, open_requests: int) -> int:
    """Return how many more requests a pool takes; `sent_requests` are with the client.

    In a guarded pool, whose origins are strangers to each other, as many again may wait for the
    slow ones, so that these do not hold up the rest.
    """
    spare = window if guard is not None else 0
    return max(min(window - sent_requests, window + spare - open_requests), 0)
