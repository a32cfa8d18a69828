"""The breaking server: a small HTTP/2 server that breaks connections as granian cannot.

It serves the same stand-ins, over TLS and HTTP/2 only, and is slower by an order of magnitude. It
resets and refuses streams, cuts and half-closes connections, sends GOAWAY between answers, and
accepts only as many streams as it announced.
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.standins.misbehaviour.faults import ConnectionFaults
from workers.standins.providers.standin import Standin
from workers.standins.servers.client_connection import ClientConnection
from workers.standins.traffic import Traffic


class BreakingServer:
    """A breaking server that is running."""

    def __init__(self, server: asyncio.Server, connections: set[ClientConnection]) -> None:
        self._server = server
        self._connections = connections

    async def stop(self) -> None:
        """Close the listening socket and ask the clients to close."""
        self._server.close()
        for connection in list(self._connections):
            connection.retire()


async def serve(
    standin: Standin, traffic: Traffic, port: int, certificates: Path, faults: ConnectionFaults
) -> BreakingServer:
    """Serve a stand-in on the port, with these faults on every connection, until stopped."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.set_alpn_protocols(["h2"])
    connections: set[ClientConnection] = set()
    make: Callable[[], Any] = lambda: ClientConnection(standin, traffic, faults, connections)  # noqa: E731
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        make, "127.0.0.1", port, ssl=context, backlog=1024, reuse_address=True
    )
    return BreakingServer(server, connections)
