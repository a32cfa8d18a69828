"""Turns: which calls compute on a process's event loop, and who is next.

All calls of a process take turns at its one interpreter, in as many steps as each has. Were all to
begin as they come, one caller with many connections would come in between any two steps of
everybody else's call. So few calls compute at once, the callers in a circle, and the newsroom's
have turns of their own. A call gives its turn back whenever it waits: for its body, for its group,
for a slot of `service/http/admission.py`, for its caller to take the answer.
"""

from collections.abc import Sequence
from functools import partial

from starlette.types import Scope

from service.hot.newsroom_first import NewsroomFirst, is_newsrooms
from service.http.forwarded import counted_address, of_caller
from service.http.limits.call_turn import CallTurn
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

    def turn_of(self, scope: Scope) -> CallTurn:
        """Return the turn of a call, which has yet to be taken."""
        limiter = self._newsrooms if is_newsrooms(scope) else self._others
        return CallTurn(limiter, partial(self._caller, scope))

    def is_newsrooms(self, turn: CallTurn) -> bool:
        """Whether the turn is one of the newsroom's."""
        return turn.limiter is self._newsrooms

    def _caller(self, scope: Scope) -> str:
        client = of_caller(scope, self._proxies).get("client")
        return counted_address(str(client[0])) if client else ""
