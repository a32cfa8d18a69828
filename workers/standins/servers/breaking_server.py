"""The breaking server: a small HTTP/2 server that breaks connections as granian cannot.

It serves the same stand-ins, over TLS and HTTP/2 only, and is slower by an order of magnitude. It
resets and refuses streams, cuts and half-closes connections, sends GOAWAY between answers, and
accepts only as many streams as it announced. It answers before it has read a body, sends long
bodies, sends WINDOW_UPDATE after a stream's end, and can have small socket buffers.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.standins.misbehaviour.faults import ConnectionFaults
from workers.standins.providers.standin import Standin
from workers.standins.servers.client_connection import ClientConnection
from workers.standins.servers.steady_server import HOST
from workers.standins.traffic import Traffic


class BreakingServer:
    """A breaking server that is running."""

    def __init__(self, server: asyncio.Server, connections: set[ClientConnection]) -> None:
        self._server = server
        self._connections = connections

    def deafen(self) -> None:
        """Send nothing more on the connections of this moment; they stay open."""
        for connection in self._connections:
            connection.deafen()

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
    listener = _open_listener(port, faults)
    server = await loop.create_server(make, sock=listener, ssl=context, backlog=1024)
    return BreakingServer(server, connections)


def _open_listener(port: int, faults: ConnectionFaults) -> socket.socket:
    """Bind the port; accepted connections inherit the sizes of its buffers."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if faults.send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, faults.send_buffer)
        if faults.receive_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, faults.receive_buffer)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener
