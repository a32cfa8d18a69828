"""Sockets that an HTTP client owns and closes without a word, and that we look at all the same.

Such a number may by now belong to somebody else (the database's connection, say), so nothing is
done to it before it was asked whether it is still the one that was opened.
"""

import os
import select
import socket
from contextlib import suppress
from enum import Enum

_CORK = getattr(socket, "TCP_CORK", None)
CAN_CORK = _CORK is not None
_TCP_OPTIONS = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPINTVL": 15,
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 10_000,
}
"""Seconds, and a count; the last one milliseconds: so long may what was sent stay unacknowledged
(RFC 5482), where the system alone would wait for a quarter of an hour."""
_HUNG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


def keep_alive(opened: socket.socket) -> None:
    """Send without delay, and let the system find out when the other side has vanished."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_OPTIONS.items():
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class SocketState(Enum):
    """How an idle connection's socket is."""

    QUIET = "open, nothing to read"
    NEWS = "open, something to read: perhaps the other side says goodbye"
    DEAD = "closed by the other side, or by its owner"


class ClientSocket:
    """One connection's socket, by its number."""

    __slots__ = ("_inode", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._inode = os.fstat(fd).st_ino

    def is_open(self) -> bool:
        """Whether it is still open, and still the same."""
        try:
            return os.fstat(self.fd).st_ino == self._inode
        except OSError:
            return False

    def break_off(self) -> None:
        """Shut it down in both directions, without closing it, if it is still the same."""
        with suppress(OSError):
            number = os.dup(self.fd)  # nobody else can close this one meanwhile
            if os.fstat(number).st_ino != self._inode:
                os.close(number)
                return
            with socket.socket(fileno=number) as same:
                same.shutdown(socket.SHUT_RDWR)

    def state(self) -> SocketState:
        """Look without touching what there is to read."""
        if not self.is_open():
            return SocketState.DEAD
        look = select.poll()
        look.register(self.fd, select.POLLIN | _HUNG_UP)
        events = look.poll(0)
        if not events:
            return SocketState.QUIET
        return SocketState.DEAD if events[0][1] & _HUNG_UP else SocketState.NEWS


class LentSocket(ClientSocket):
    """A socket that we opened for libcurl; libcurl closes it."""

    __slots__ = ("_socket",)

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        self._socket = socket.socket(family, kind, protocol)
        with suppress(OSError):
            keep_alive(self._socket)
        super().__init__(self._socket.fileno())

    def shut_down(self) -> None:
        """Shut a dead connection down from our side too: only so does libcurl see that it is."""
        if self.is_open():
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def local_port(self) -> int:
        """Return our end's port; 0 when it is closed or has none."""
        if not self.is_open():
            return 0
        try:
            return int(self._socket.getsockname()[1])
        except (OSError, IndexError):
            return 0

    def cork(self, on: int) -> None:
        """Hold back what is sent (1), or let it go (0), in packets as full as can be."""
        if _CORK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _CORK, on)

    def detach(self) -> None:
        """Never touch it again."""
        self._socket.detach()
