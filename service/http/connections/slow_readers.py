"""Ends the connections of those who take an answer too slowly, so that its place is free again.

The kernel ends a connection whose other end takes nothing for `listener.UNREAD_MS`. Somebody who
takes a byte now and then keeps it: only we can say that this is too slow. Neither granian nor hyper
has a limit for it, so each process looks at its own connections from outside, in the kernel's
figures (tcp(7), TCP_INFO), and shuts those down. Linux only; elsewhere nothing is ended.
"""

import fcntl
import os
import socket
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOOK_S = 10.0
"""Seconds between two looks at all connections."""
SLOW_LOOKS = 3
"""Looks in a row that find a connection slow until it is ended."""
SLOWEST_BYTES_PER_S = 1024
_FILES = Path("/proc/self/fd")
_TCP_INFO_BYTES = 128
_BYTES_ACKED = 120
"""Where `tcpi_bytes_acked` stands in the kernel's `struct tcp_info`, a 64-bit number."""


class SlowReaders:
    """Looks at the connections of this process that came in at one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._earlier: dict[int, tuple[int, int]] = {}
        """By the socket's inode: how much its other end had taken, in how many slow looks."""

    def start(self) -> None:
        """Look every `LOOK_S` in a thread, for as long as the process lives."""
        if sys.platform == "linux":
            threading.Thread(target=self._look_on, name="slow readers", daemon=True).start()

    def _look_on(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_S):
            with suppress(OSError):  # no file is free for a duplicate: the next look may have one
                self.look()

    def look(self) -> int:
        """End the connections that were too slow at each of the last looks; return how many."""
        number = 0
        now: dict[int, tuple[int, int]] = {}
        for connection in _connections(self._port):
            waiting, taken = _unsent(connection), _taken(connection)
            inode = os.fstat(connection.fileno()).st_ino
            before, slow_looks = self._earlier.get(inode, (taken, -1))
            if not waiting or taken - before >= SLOWEST_BYTES_PER_S * LOOK_S:
                continue
            if slow_looks + 1 >= SLOW_LOOKS:
                with suppress(OSError):  # it has ended by itself
                    connection.shutdown(socket.SHUT_RDWR)
                number += 1
            else:
                now[inode] = taken, slow_looks + 1
        self._earlier = now
        return number


def _connections(port: int) -> Iterator[socket.socket]:
    """Yield a duplicate of each connection, which stays the same one whatever becomes of it."""
    for file in _FILES.iterdir():
        with suppress(OSError), _duplicate(int(file.name)) as connection:
            if connection.getsockname()[1:2] == (port,) and connection.getpeername():
                yield connection


def _duplicate(file: int) -> socket.socket:
    """Return another handle of a socket; raises `OSError` for a file that is none."""
    duplicate = os.dup(file)
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise


def _unsent(connection: socket.socket) -> int:
    """Return how many bytes of ours the other end has not acknowledged."""
    answer = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


def _taken(connection: socket.socket) -> int:
    """Return how many bytes of ours the other end has acknowledged."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    (number,) = struct.unpack_from("=Q", info, _BYTES_ACKED)
    return int(number)
