"""The limits on the time of a request's body, so that one that stops ends and frees its connection.

A request waits for its body before it has a slot, a thread or a database connection (FastAPI reads
the body before any dependency), so a body that is slow costs nobody anything until these end it.
"""

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.errors import TooSlow
from service.http.body_limit import CLOSE_CONNECTION
from service.http.problems import KINDS

PART_S = 10.0
"""Seconds until the first part of a body, and between two parts."""
WHOLE_S = 60.0
"""Seconds until the end of the body."""
REFUSAL = f"The body stopped: {PART_S:.0f} s a part and {WHOLE_S:.0f} s in all are the limit."


class BodyDeadline:
    """Refuses a request whose body does not arrive in time with 408, and ends its connection."""

    def __init__(self, app: ASGIApp, part_s: float = PART_S, whole_s: float = WHOLE_S) -> None:
        self.app = app
        self.part_s = part_s
        self.whole_s = whole_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and time its body."""
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        await self.app(scope, in_time(receive, self.part_s, self.whole_s), send)


def in_time(receive: Receive, part_s: float = PART_S, whole_s: float = WHOLE_S) -> Receive:
    """Return what receives a body's parts, and raises `HTTPException` for one that is late."""
    deadline = time.monotonic() + whole_s
    is_complete = False

    async def receive_in_time() -> Message:
        nonlocal is_complete
        if is_complete:  # what comes now is the end of the connection, which may take for ever
            return await receive()
        try:
            async with asyncio.timeout(min(part_s, deadline - time.monotonic())):
                message = await receive()
        except TimeoutError:
            raise late_body() from None
        is_complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return receive_in_time


def late_body() -> HTTPException:
    """Return the refusal of a body that did not arrive in time."""
    return HTTPException(KINDS[TooSlow].status, REFUSAL, CLOSE_CONNECTION)


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
