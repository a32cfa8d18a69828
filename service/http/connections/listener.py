"""The listening socket, opened by us so that it has limits of ours and one owner."""

import errno
import socket

BACKLOG = 4096
"""Connections that wait to be accepted; the system may have a lower limit of its own."""
UNREAD_MS = 30_000
"""Milliseconds that bytes of ours may stay unacknowledged, or the other end may refuse more."""
KEEPALIVE_S = 30
"""Seconds of silence after which the kernel asks whether the other end still exists."""


class PortInUse(Exception):
    """Another program listens on the port."""


def open_listener(host: str, port: int, backlog: int = BACKLOG) -> socket.socket:
    """Return a listening socket whose options every accepted connection inherits.

    Raises `PortInUse`, or `OSError` when the address is not this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} of {host} is in use") from None
        raise
    listener.setblocking(False)
    return listener
