"""Turns: which calls compute on a process's event loop, and who is next.

All calls of a process take turns at its one interpreter, in as many steps as each has. Were all to
begin as they come, one caller with many connections would come in between any two steps of
everybody else's call. So few calls compute at once, the callers in a circle, and the newsroom's
have turns of their own. A call gives its turn back whenever it waits: for its body, for its group,
for a slot of `service/http/admission.py`, for its caller to take the answer.
"""

from collections.abc import Sequence

from starlette.types import Message, Receive, Scope, Send

from service.hot.newsroom_first import NewsroomFirst, is_newsrooms
from service.http.forwarded import counted_address, of_caller
from service.http.limits.fair_limiter import FairLimiter
from service.settings import Network

AT_ONCE = 2
"""Calls of each kind that compute at once: enough that the event loop always has one."""
MOST_WAITING = 4096
"""As many as there are connections, so no call is refused for its turn."""


class Turns:
    """The turns of one event loop."""

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = proxies
        self._newsrooms = FairLimiter(AT_ONCE, MOST_WAITING)
        self._others = FairLimiter(AT_ONCE, MOST_WAITING)
        self.newsroom_first = NewsroomFirst(self._others)

    def turn_of(self, scope: Scope) -> "CallTurn":
        """Return the turn of a call, which has yet to be taken."""
        limiter = self._newsrooms if is_newsrooms(scope) else self._others
        return CallTurn(limiter, scope, self._proxies)

    def is_newsrooms(self, turn: "CallTurn") -> bool:
        """Whether the turn is one of the newsroom's."""
        return turn.limiter is self._newsrooms


class CallTurn:
    """One call's turn: taken to compute, given back to wait, ended for good."""

    __slots__ = ("_has_ended", "_is_held", "_proxies", "_scope", "limiter")

    def __init__(self, limiter: FairLimiter, scope: Scope, proxies: Sequence[Network]) -> None:
        self.limiter = limiter
        self._scope = scope
        self._proxies = proxies
        self._is_held = False
        self._has_ended = False

    async def take(self) -> None:
        """Wait for the turn, unless it has ended; raises `Unavailable` when too many wait."""
        if self._has_ended or self._is_held:
            return
        if not self.limiter.acquire_now():
            await self.limiter.acquire(self._caller())
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

    def _caller(self) -> str:
        client = of_caller(self._scope, self._proxies).get("client")
        return counted_address(str(client[0])) if client else ""
