"""The limit on the bytes of one request."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.errors import TooLarge
from service.http.problems import KINDS, problem

MAX_REQUEST_BYTES = 4 * 1024 * 1024
REFUSAL = f"A request may have {MAX_REQUEST_BYTES:,} bytes."
CLOSE_CONNECTION = {"Connection": "close"}
"""The rest of the request is not read, so its connection cannot be used again."""


class LimitBody:
    """Refuses a larger request with 413, by its `Content-Length` or by the bytes that arrive."""

    def __init__(self, app: ASGIApp, limit: int = MAX_REQUEST_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its bytes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _content_length(scope) > self.limit:
            answer = problem(KINDS[TooLarge], REFUSAL, headers=CLOSE_CONNECTION)
            await answer(scope, receive, send)
            return
        size = 0

        async def receive_and_count() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limit:
                raise HTTPException(KINDS[TooLarge].status, REFUSAL, CLOSE_CONNECTION)
            return message

        await self.app(scope, receive_and_count, send)


def _content_length(scope: Scope) -> int:
    """Return the request's `Content-Length`; 0 without a valid one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
