"""The steady server: granian serves a stand-in over TLS, HTTP/2 and HTTP/1.1, and fast."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from granian.constants import HTTPModes, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from workers.standins.providers.exchange import Request, TransportFailure
from workers.standins.providers.standin import Standin
from workers.standins.traffic import Traffic

HOST = os.environ.get("STANDINS_HOST", "127.0.0.1")
"""The address of all stand-ins: loopback, or one within a network of containers."""
MAX_STREAMS = 1000
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.005
MAX_HANG_S = 900.0

Target = Callable[[Any, Any], Awaitable[None]]


def make_target(standin: Standin, traffic: Traffic) -> Target:
    """Return the RSGI application of one stand-in."""

    async def target(scope: Any, protocol: Any) -> None:
        lines = scope.headers.items()
        headers = dict(lines)
        body = await protocol()
        has_duplicates = len(headers) != len(lines)
        request = Request(scope.method, scope.path, headers, body, has_duplicates)
        answer = standin.answer(request)
        traffic.count(standin.name, answer.failure or answer.status)
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.failure is TransportFailure.HANG:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(protocol.client_disconnect(), MAX_HANG_S)
        protocol.response_bytes(answer.status or 500, answer.headers, answer.body)

    return target


class SteadyServer:
    """A granian server that is running."""

    _stopping: ClassVar[set[asyncio.Task[None]]] = set()

    def __init__(self, server: Server, port: int, task: asyncio.Task[None]) -> None:
        self._server = server
        self._port = port
        self._task = task

    async def stop(self) -> None:
        """Close the listening socket and ask the clients to close; return when the port is free.

        Granian ends when its last client has closed, which may be long after: this does not wait
        for that.
        """
        self._stopping.add(self._task)
        self._task.add_done_callback(self._stopping.discard)
        self._server.stop()  # type: ignore[no-untyped-call]
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while await _accepts_connections(self._port):  # noqa: ASYNC110  # granian has no event
                await asyncio.sleep(POLL_S)


async def serve(
    target: Target, port: int, certificates: Path | None, *, http1: bool
) -> SteadyServer:
    """Serve `target` on the port until stopped; with TLS if there are certificates."""
    server = Server(
        target,
        address=HOST,
        port=port,
        http=HTTPModes.auto if http1 else HTTPModes.http2,
        http1_settings=HTTP1Settings(),
        http2_settings=HTTP2Settings(max_concurrent_streams=MAX_STREAMS),
        backlog=1024,
        backpressure=65_536,
        log_enabled=False,
        ssl_cert=certificates / "server.pem" if certificates else None,
        ssl_key=certificates / "server.key" if certificates else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    task = asyncio.create_task(server.serve())
    await _wait_until_listening(port, task)
    return SteadyServer(server, port, task)


async def _wait_until_listening(port: int, task: asyncio.Task[None]) -> None:
    """Wait until the port accepts connections; raise OSError if the server ended instead."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while not task.done():
            if await _accepts_connections(port):
                return
            await asyncio.sleep(POLL_S)
    raise OSError(f"cannot serve on port {port}") from task.exception()


async def _accepts_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
