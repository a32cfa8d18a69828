"""HEAD wherever GET is: the same answer without its body (RFC 9110, section 9.3.2)."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


class AnswerHead:
    """Lets the application answer a HEAD as a GET, and drops the body.

    An answer that comes in parts is cancelled at its first one, or an event stream would not end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        has_head = False
        with anyio.CancelScope() as rest:

            async def send_headers(message: Message) -> None:
                nonlocal has_head
                if message["type"] == "http.response.start":
                    has_head = True
                    await send(message)
                elif message.get("more_body", False):
                    rest.cancel()

            try:
                await self.app({**scope, "method": "GET"}, receive, send_headers)
            except Exception:  # whose answer is already here
                if has_head:
                    await send(END)
                raise
        await send(END)
