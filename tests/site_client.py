"""A client of an application in this process that costs a third of Starlette's.

Starlette's crosses to the event loop's thread eight times a request, so that a test can read an
answer while it is being written. Here a request is one crossing, and its answer is read as a whole;
with `client.stream(...)` all is as in Starlette's. Clients that are not entered share one event
loop, where Starlette's have a new loop and new threads for each request.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi.testclient import TestClient

STREAMED = "streamed"
DEFAULT_PORTS = {"http": 80, "https": 443}
_event_loop = ExitStack()
_portals: list[BlockingPortal] = []


def shared_portal() -> BlockingPortal:
    """Return the way into the event loop of all clients that are not entered."""
    if not _portals:
        _portals.append(_event_loop.enter_context(start_blocking_portal()))
    return _portals[0]


def end_event_loop() -> None:
    _portals.clear()
    _event_loop.close()


class SiteClient(TestClient):
    """Starlette's client, quicker."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        fails = options.get("raise_server_exceptions", True)
        caller = options.get("client", ("testclient", 50_000))
        self._transport = WholeAnswers(self, self._transport, caller, raises=fails)

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> Any:
        request.extensions[STREAMED] = stream
        return super().send(request, stream=stream, **options)

    @contextmanager
    def _portal_factory(self) -> Iterator[BlockingPortal]:
        yield self.portal or shared_portal()


class WholeAnswers(httpx.BaseTransport):
    """Calls the application once a request; leaves to `streams` what is read piece by piece."""

    def __init__(
        self,
        client: SiteClient,
        streams: httpx.BaseTransport,
        caller: tuple[str, int],
        *,
        raises: bool,
    ) -> None:
        self.client = client
        self.streams = streams
        self.caller = caller
        self.raises = raises

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.extensions.get(STREAMED):
            return self.streams.handle_request(request)
        call = Call(request.read(), is_head=request.method == "HEAD")
        with self.client._portal_factory() as portal:
            error = portal.call(call.run, self.client.app, self._scope(request))
        if error is not None and self.raises:
            raise error
        return httpx.Response(
            call.status, headers=call.headers, stream=httpx.ByteStream(b"".join(call.parts))
        )

    def _scope(self, request: httpx.Request) -> dict[str, Any]:
        url = request.url
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": unquote(url.path),
            "raw_path": url.raw_path.split(b"?", 1)[0],
            "root_path": "",
            "scheme": url.scheme,
            "query_string": url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": self.caller,
            "server": [url.host, url.port or DEFAULT_PORTS[url.scheme]],
            "extensions": {},
            "state": self.client.app_state.copy(),
        }


class Call:
    """One request and what the application answers."""

    def __init__(self, body: bytes, *, is_head: bool) -> None:
        self.body: bytes | None = body
        self.is_head = is_head
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []

    async def run(self, app: Any, scope: dict[str, Any]) -> Exception | None:
        self.ended = anyio.Event()
        try:
            await app(scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - raised again where the test called, if it wants that
            return error
        return None

    async def receive(self) -> dict[str, Any]:
        if self.body is None:
            await self.ended.wait()
            return {"type": "http.disconnect"}
        body, self.body = self.body, None
        return {"type": "http.request", "body": body}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            assert not self.ended.is_set(), "a body after the end of the answer"
            if not self.is_head:
                self.parts.append(bytes(message.get("body", b"")))
            if not message.get("more_body"):
                self.ended.set()
