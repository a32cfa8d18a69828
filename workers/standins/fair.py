"""Fair weather: granian serves a stand-in over TLS, HTTP/2 and HTTP/1.1, and fast."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from workers.standins.exchange import Fate, Request
from workers.standins.standin import Standin
from workers.standins.traffic import Traffic

HOST = "127.0.0.1"
STREAMS = 1000
START_WITHIN = 10.0
STOP_WITHIN = 5.0
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


@dataclass(slots=True)
class Running:
    """A granian server that is up."""

    server: Server
    task: asyncio.Task[None]

    async def stop(self) -> None:
        """Take the listening socket away and tell the connections to go."""
        self.server.stop()
        done, _ = await asyncio.wait({self.task}, timeout=STOP_WITHIN)
        if not done:
            self.task.cancel()


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
    return Running(server, task)


async def _listening(port: int, task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(START_WITHIN):
        while not task.done():
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            return
    raise OSError(f"cannot serve on port {port}") from (task.exception() if task.done() else None)
