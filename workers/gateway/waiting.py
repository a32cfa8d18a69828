"""What waits for a connection to its origin, outside the client; and how much may."""

from collections import deque

from workers.gateway.network_guard import Guard
from workers.provider import Request

PATIENCE_S = 1.0
"""How long a crowd may wait for one of many origins before later comers are turned away."""
MOST_ORIGINS = 1_000
"""Origins that a pool remembers; idle ones are forgotten beyond these."""


class Waiting(deque[tuple[Request, float]]):
    """Requests that wait for one origin, oldest first, each with its deadline (monotonic)."""

    def is_crowd(self, most: int, deadline: float) -> bool:
        """Whether one more, with this deadline, would join `most` that get nowhere."""
        return len(self) >= most and self[0][1] < deadline - PATIENCE_S

    def late(self, now: float) -> list[Request]:
        """Take out what has waited past its deadline."""
        found = []
        while self and self[0][1] <= now:
            found.append(self.popleft()[0])
        return found

    def give_up(self) -> list[Request]:
        """Take out all: there is no way to the origin just now."""
        found = [request for request, _ in self]
        self.clear()
        return found


def room(window: int, guard: Guard | None, *, handed: int, unanswered: int) -> int:
    """Return how many more requests a pool takes; `handed` are with the client.

    In a guarded pool, whose origins are strangers to each other, as many again may wait for the
    slow ones, so that these do not hold up the rest.
    """
    spare = window if guard is not None else 0
    return max(min(window - handed, window + spare - unanswered), 0)
