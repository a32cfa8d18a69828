"""A socket that libcurl owns and closes without a word, and that we look at all the same.

Its number may by now belong to somebody else (the database's connection, say), so nothing is done
to it before it was asked whether it is still the one that was opened.
"""

import os
import select
import socket

_CORK = getattr(socket, "TCP_CORK", None)
CAN_CORK = _CORK is not None


class BorrowedSocket:
    """One connection's socket; never closed here."""

    __slots__ = ("_inode", "_socket", "fd")

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        self._socket = socket.socket(family, kind, protocol)
        self.fd = self._socket.fileno()
        self._inode = os.fstat(self.fd).st_ino

    def here(self) -> bool:
        """Whether it is still open, and still the same."""
        try:
            return os.fstat(self.fd).st_ino == self._inode
        except OSError:
            return False

    def quiet(self) -> bool:
        """Whether it is open and has no news; news on an idle connection mostly mean its end."""
        if not self.here():
            return False
        look = select.poll()
        look.register(self.fd, select.POLLIN)
        return not look.poll(0)

    def cork(self, on: int) -> None:
        """Hold back what is sent (1), or let it go (0), in packets as full as can be."""
        if _CORK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _CORK, on)

    def let_go(self) -> None:
        """Never touch it again."""
        self._socket.detach()
