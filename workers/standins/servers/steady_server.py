"""Fair weather: granian serves a stand-in over TLS, HTTP/2 and HTTP/1.1, and fast."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from granian.constants import HTTPModes, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from workers.standins.providers.exchange import Fate, Request
from workers.standins.providers.standin import Standin
from workers.standins.traffic import Traffic

HOST = "127.0.0.1"
STREAMS = 1000
START_WITHIN = 10.0
STOP_WITHIN = 5.0
BETWEEN_LOOKS = 0.005
LONGEST_HANG = 900.0

Target = Callable[[Any, Any], Awaitable[None]]


def target_of(standin: Standin, traffic: Traffic) -> Target:
    """Return the RSGI application of one stand-in."""

    async def target(scope: Any, protocol: Any) -> None:
        lines = scope.headers.items()
        headers = dict(lines)
        body = await protocol()
        request = Request(scope.method, scope.path, headers, body, len(headers) != len(lines))
        answer = standin.answer(request)
        traffic.note(standin.name, answer.fate or answer.status)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.fate is Fate.HANG:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(protocol.client_disconnect(), LONGEST_HANG)
        protocol.response_bytes(answer.status or 500, answer.headers, answer.body)

    return target


class Running:
    """A granian server that is up."""

    _ending: ClassVar[set[asyncio.Task[None]]] = set()

    def __init__(self, server: Server, port: int, task: asyncio.Task[None]) -> None:
        self._server = server
        self._port = port
        self._task = task

    async def stop(self) -> None:
        """Take the listening socket away and tell the connections to go.

        Granian ends when its last client has closed, which may be long after: that is not waited
        for, only that the port is free.
        """
        self._ending.add(self._task)
        self._task.add_done_callback(self._ending.discard)
        self._server.stop()  # type: ignore[no-untyped-call]
        async with asyncio.timeout(STOP_WITHIN):
            while await _answers(self._port):  # noqa: ASYNC110  # granian tells nobody
                await asyncio.sleep(BETWEEN_LOOKS)


async def serve(target: Target, port: int, certificates: Path | None, *, http1: bool) -> Running:
    """Serve `target` on the port until stopped; with TLS if there are certificates."""
    server = Server(
        target,
        address=HOST,
        port=port,
        http=HTTPModes.auto if http1 else HTTPModes.http2,
        http1_settings=HTTP1Settings(),
        http2_settings=HTTP2Settings(max_concurrent_streams=STREAMS),
        backlog=1024,
        backpressure=65_536,
        log_enabled=False,
        ssl_cert=certificates / "server.pem" if certificates else None,
        ssl_key=certificates / "server.key" if certificates else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    task = asyncio.create_task(server.serve())
    await _listening(port, task)
    return Running(server, port, task)


async def _listening(port: int, task: asyncio.Task[None]) -> None:
    """Wait until the port answers; raise OSError if the server ended instead."""
    async with asyncio.timeout(START_WITHIN):
        while not task.done():
            if await _answers(port):
                return
            await asyncio.sleep(BETWEEN_LOOKS)
    raise OSError(f"cannot serve on port {port}") from task.exception()


async def _answers(port: int) -> bool:
    """Say whether somebody accepts connections on the port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
