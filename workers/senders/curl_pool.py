"""A pool of connections and the transfers on them: one libcurl multi handle.

Each lane has its own, so that what one lane may reach is never reached over another's connection,
and so that a lane that wants new connections simply gets a new pool while the old one runs dry.
"""

import selectors
import socket
import time
from contextlib import suppress
from typing import cast

import pycurl

from workers.network_guard import Guard, may_connect
from workers.provider import Answer, Failure, Request
from workers.senders.curl_transfer import Rules, Transfer
from workers.senders.origin import Origin

STREAMS_EXPECTED = 100
"""What many servers allow on one connection; a window beyond it may take more connections."""
OPENING_S = 0.5
"""How long after its socket was opened a connection is looked after closely."""
_CORK = getattr(socket, "TCP_CORK", None)
_REFUSED = -1
SHORTEST_NAP_S = 0.002
"""How long to sleep at most while something is awaited that no socket tells of."""
_NO_WAY = (Failure.NOT_SENT, Failure.FORBIDDEN)
READ_AT_ONCE = 1_000


class Pool:
    """The connections of one lane since its last refresh."""

    def __init__(
        self,
        *,
        ca_path: str,
        timeout_s: float,
        guard: Guard | None,
        selector: selectors.BaseSelector,
    ) -> None:
        self.guard = guard
        self.opened_at = time.monotonic()
        self.running: set[Transfer] = set()
        self.turns = 0
        self._selector = selector
        self._sockets: dict[int, tuple[socket.socket, Origin]] = {}
        self._unwatched: set[int] = set()
        self._opening_until = 0.0
        self._free: list[Transfer] = []
        self._rules = Rules(
            ca_path, timeout_s, guard is not None, self._open_socket, self._close_socket
        )
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._added = False

    def allow(self, window: int) -> None:
        """Let one connection carry the whole window, and more of them when the server says less."""
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, max(window, STREAMS_EXPECTED))
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1 + -(-window // STREAMS_EXPECTED))

    def hand(self, request: Request, origin: Origin) -> Answer | None:
        """Give libcurl a request; returns an answer at once if it cannot take it."""
        transfer = self._free.pop() if self._free else Transfer(self._rules)
        try:
            transfer.begin(request, origin)
        except (pycurl.error, UnicodeEncodeError, TypeError) as error:
            transfer.close()
            detail = f"not a request that can be sent: {type(error).__name__}"
            return Answer(0, failure=Failure.FORBIDDEN, detail=detail)
        if not origin.handed and self._unwatched:
            self._watch(origin.sockets & self._unwatched)
        self._multi.add_handle(transfer)
        self.running.add(transfer)
        origin.handed += 1
        self._added = True
        return None

    def turn(self, taken: list[tuple[Request, Answer]]) -> list[tuple[Origin, Answer]]:
        """Send what was handed over and read what has come, adding the answers to `taken`.

        Returns the origins that could not be reached at all, each with the reason.
        """
        self.turns += 1
        corked = self._cork() if self._added else ()
        self._added = False
        try:
            self._multi.perform()
        finally:
            for each in corked:
                with suppress(OSError):
                    each.setsockopt(socket.IPPROTO_TCP, _CORK or 0, 0)
        closed: list[tuple[Origin, Answer]] = []
        more = 1
        while more:
            more, done, failed = self._multi.info_read(READ_AT_ONCE)
            for transfer in cast("list[Transfer]", done):
                self._take(transfer)
                transfer.origin.warm = True
                taken.append((transfer.request, transfer.answer()))
            for handle, code, message in failed:
                transfer = cast("Transfer", handle)
                self._take(transfer)
                answer = transfer.failure(code, message)
                taken.append((transfer.request, answer))
                if answer.failure in _NO_WAY and not transfer.origin.warm:
                    closed.append((transfer.origin, answer))
        return closed

    def _take(self, transfer: Transfer) -> None:
        """Take a transfer out of libcurl's hands; it is ready for the next request."""
        self._multi.remove_handle(transfer)
        self.running.discard(transfer)
        origin = transfer.origin
        origin.handed -= 1
        if transfer.given:
            origin.begun -= 1
        self._free.append(transfer)

    def nap_s(self) -> float | None:
        """Return for how long libcurl is content to sleep; None when nothing runs."""
        if not self.running:
            return None
        if time.monotonic() < self._opening_until:
            return SHORTEST_NAP_S
        asked = self._multi.timeout()
        return asked / 1000 if asked >= 0 else None

    def quiet(self, fd: int) -> None:
        """Look away from a socket that has news while nothing is in flight on it.

        libcurl reads it when the connection is used again. Probably it was closed by the other
        side, so its origin counts as cold.
        """
        known = self._sockets.get(fd)
        if known is None or known[1].handed:
            return
        known[1].cool()
        self._selector.unregister(fd)
        self._unwatched.add(fd)

    def _watch(self, fds: set[int]) -> None:
        for fd in fds:
            self._selector.register(fd, selectors.EVENT_READ, self)
        self._unwatched -= fds

    def _cork(self) -> list[socket.socket]:
        """Hold back what is sent until the turn is over: fewer and fuller packets, less work."""
        if _CORK is None:
            return []
        corked = [each for each, _ in self._sockets.values()]
        for each in corked:
            each.setsockopt(socket.IPPROTO_TCP, _CORK, 1)
        return corked

    def _open_socket(self, transfer: Transfer, where: pycurl.CurlSockAddr) -> int:
        origin = transfer.origin
        if not may_connect(str(where.addr[0]), origin.host, origin.port, self.guard):
            transfer.refused = True
            return _REFUSED
        opened = socket.socket(where.family, where.socktype, where.protocol)
        fd = opened.fileno()
        self._sockets[fd] = (opened, origin)
        origin.sockets.add(fd)
        self._watch({fd})
        self._opening_until = time.monotonic() + OPENING_S
        return fd

    def _close_socket(self, fd: int) -> int:
        opened, origin = self._sockets.pop(fd)
        if fd in self._unwatched:
            self._unwatched.discard(fd)
        else:
            self._selector.unregister(fd)
        opened.close()
        origin.sockets.discard(fd)
        if not origin.sockets:
            origin.cool()
        return 0

    def drop(self) -> list[Request]:
        """Stop every transfer; returns their requests."""
        dropped = list(self.running)
        for transfer in dropped:
            self._take(transfer)
            transfer.forget()
        return [transfer.request for transfer in dropped]

    def close(self) -> None:
        """Close every connection and handle."""
        self.drop()
        self._multi.close()
        for transfer in self._free:
            transfer.close()
        self._free.clear()
