"""A limiter that is fair to callers: of those who wait, each is served in its turn.

A caller who asks a thousand times delays each other caller as if it had asked once, and where too
many wait, the caller that waits most often is refused.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable

from service.domain.errors import Unavailable

RETRY_AFTER_S = 2


class FairLimiter:
    """At most `tokens` are held at once; at most `max_waiting` wait, in the order of their callers.

    For one event loop. The call that acquired a token releases it.
    """

    def __init__(self, tokens: int, max_waiting: int) -> None:
        self._tokens = tokens
        self._max_waiting = max_waiting
        self._held = 0
        self._waiting = 0
        self._queues: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        """By caller; the next one to be served is the first."""

    @property
    def tokens(self) -> int:
        """How many may be held at once; a smaller number takes none back."""
        return self._tokens

    @tokens.setter
    def tokens(self, number: int) -> None:
        self._tokens = number
        self._serve()

    @property
    def is_free(self) -> bool:
        """Whether a token is free and nobody waits for it."""
        return not self._waiting and self._held < self._tokens

    def acquire_now(self) -> bool:
        """Take a token if one is free and nobody waits for it."""
        if not self.is_free:
            return False
        self._held += 1
        return True

    async def acquire(self, caller: Hashable) -> None:
        """Wait for a token; raises `Unavailable` when too many wait."""
        if self.acquire_now():
            return
        if self._waiting >= self._max_waiting:
            self._refuse_one(caller)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._remove(caller, turn)
            elif turn.exception() is None:
                self.release()
            raise

    def release(self) -> None:
        """Give a token back."""
        self._held -= 1
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._held < self._tokens:
            caller, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[caller] = queue  # the last of the circle from now on
            self._waiting -= 1
            if not turn.done():
                self._held += 1
                turn.set_result(None)

    def _refuse_one(self, caller: Hashable) -> None:
        """Refuse the latest call of the caller that waits most often, be it this one."""
        own = len(self._queues.get(caller, ()))
        most = max(self._queues, key=lambda each: len(self._queues[each]))
        if own >= len(self._queues[most]):
            raise overloaded()
        turn = self._queues[most][-1]
        self._remove(most, turn)
        if not turn.done():
            turn.set_exception(overloaded())

    def _remove(self, caller: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(caller)
        if queue is None or turn not in queue:  # `_serve` met it first
            return
        queue.remove(turn)
        self._waiting -= 1
        if not queue:
            del self._queues[caller]


def overloaded() -> Unavailable:
    """Return the refusal of a call for which there is no room; it says when to come again."""
    return Unavailable("More calls than we can serve.", RETRY_AFTER_S)
