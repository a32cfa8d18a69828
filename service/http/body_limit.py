"""What we take at most: the bytes of one request."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.errors import TooLarge
from service.http.problems import KINDS, problem

MAX_REQUEST_BYTES = 4 * 1024 * 1024
REFUSAL = f"A request may have {MAX_REQUEST_BYTES:,} bytes."
HANG_UP = {"Connection": "close"}
"""The rest of the request is not read, so nothing else can follow on its connection."""


class LimitBody:
    """Refuses a request that says or shows that it is larger than we take, with 413.

    What it says is believed only when it is too much; what comes in is counted.
    """

    def __init__(self, app: ASGIApp, limit: int = MAX_REQUEST_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _said(scope) > self.limit:
            answer = problem(KINDS[TooLarge], REFUSAL, headers=HANG_UP)
            await answer(scope, receive, send)
            return
        read = 0

        async def receive_and_count() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.limit:
                raise HTTPException(KINDS[TooLarge].status, REFUSAL, HANG_UP)
            return message

        await self.app(scope, receive_and_count, send)


def _said(scope: Scope) -> int:
    """Return the length the request claims, 0 when it claims none."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
