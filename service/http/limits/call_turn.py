"""One call's turn on the event loop, which is in its scope: given back while the call waits."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import Message, Receive, Scope, Send

from service.http.limits.fair_limiter import FairLimiter

TURN = "newszop.turn"
"""Where a request's turn on the event loop stands in its scope."""


class CallTurn:
    """One call's turn: taken to compute, given back to wait, ended for good."""

    __slots__ = ("_find_caller", "_has_ended", "_is_held", "limiter")

    def __init__(self, limiter: FairLimiter, find_caller: Callable[[], str]) -> None:
        self.limiter = limiter
        self._find_caller = find_caller
        self._is_held = False
        self._has_ended = False

    async def take(self) -> None:
        """Wait for the turn, unless it has ended; raises `Unavailable` when too many wait."""
        if self._has_ended or self._is_held:
            return
        if not self.limiter.acquire_now():
            await self.limiter.acquire(self._find_caller())
            if self._has_ended or self._is_held:  # by another task of the call, meanwhile
                self.limiter.release()
                return
        self._is_held = True

    def give_back(self) -> None:
        """Let another call compute."""
        if self._is_held:
            self._is_held = False
            self.limiter.release()

    def end(self) -> None:
        """Let another call compute; this one needs no turn any more."""
        self._has_ended = True
        self.give_back()

    def between(self, receive: Receive) -> Receive:
        """Return what receives the body's parts, and gives the turn back while it waits."""

        async def receive_in_turn() -> Message:
            self.give_back()
            message = await receive()
            await self.take()
            return message

        return receive_in_turn

    def until_answer(self, send: Send) -> Send:
        """Return what sends the answer, with whose beginning the turn ends."""

        async def end_and_send(message: Message) -> None:
            self.end()
            await send(message)

        return end_and_send


def end_turn(scope: Scope) -> None:
    """Let another call compute on the event loop; this one needs no turn any more."""
    turn: CallTurn | None = scope.get(TURN)
    if turn is not None:
        turn.end()


@asynccontextmanager
async def without_turn(scope: Scope) -> AsyncIterator[None]:
    """Let another call compute while this one waits for something else."""
    turn: CallTurn | None = scope.get(TURN)
    if turn is None:
        yield
        return
    turn.give_back()
    yield
    await turn.take()
