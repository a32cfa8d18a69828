"""One libcurl multi handle: connections, and the transfers on them.

Each pool has its own, so that what one pool may reach is never reached over another's connection.
A pool that needs new connections gets a new handle; the old one finishes its transfers first.
"""

import time
from contextlib import suppress

import pycurl

from workers.gateway.client_socket import CAN_CORK, LentSocket
from workers.gateway.curl.deaf_connections import DeafConnections, shut_down
from workers.gateway.curl.transfer import Rules, Transfer
from workers.gateway.network_guard import Guard, may_connect
from workers.gateway.origin import Origin
from workers.provider import Answer, Failure, Request

STREAMS_EXPECTED = 100
"""What many servers allow on one connection; a window beyond it may take more connections."""
FULL = 64
"""Streams on a connection that allows a hundred when it is as good as full."""
STILL_S = 0.5
_REFUSED = -1
_NO_WAY = (Failure.NOT_SENT, Failure.FORBIDDEN)
READ_AT_ONCE = 1_000


class Multi:
    """The connections of one pool since its last refresh."""

    def __init__(self, *, ca_path: str, timeout_s: float, guard: Guard | None) -> None:
        self.guard = guard
        self.opened_at = time.monotonic()
        self.running: dict[pycurl.Curl, Transfer] = {}
        self.turns = 0
        self._sockets: list[LentSocket] = []
        self._free: list[Transfer] = []
        self._deaf = DeafConnections(timeout_s)
        self._rules = Rules(
            ca_path,
            timeout_s,
            guard is not None,
            self._open_socket,
            lambda port: shut_down({port}, self._sockets),
        )
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._has_new = False
        self._window = STREAMS_EXPECTED
        self._set_connections(1)

    def allow(self, window: int) -> None:
        """Let one connection carry the whole window."""
        self._window = window
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, max(window, STREAMS_EXPECTED))

    def may_go(self, origin: Origin) -> bool:
        """Whether one more request for the origin may be handed over now."""
        if origin.warm and not origin.sent_requests:
            origin.check_sockets()
        if origin.turn != self.turns:
            origin.turn = self.turns
            now = time.monotonic()
            origin.learn(now)
            self._allow_connections(origin, now)
        return origin.ready()

    def _allow_connections(self, origin: Origin, now: float) -> None:
        """Let the origin have another connection when those it has are full.

        Full means that each carries about as many streams as servers usually allow. With far
        fewer the server wants it slow, unless nothing moves at all: then the connection is ending.
        """
        if origin.stuck_since is None:
            return
        full = origin.start_count >= FULL * self._connections
        if full or now - origin.stuck_since > STILL_S:  # an answer unsets it
            origin.stuck_since = now
            limit = 1 + -(-self._window // STREAMS_EXPECTED)
            self._set_connections(min(self._connections + 1, limit))

    def _set_connections(self, limit: int) -> None:
        self._connections = limit
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, limit)

    def hand(self, request: Request, origin: Origin) -> Answer | None:
        """Give libcurl a request; returns an answer at once if it cannot take it."""
        free = self._free
        transfer = free.pop() if free else Transfer(self._rules)
        try:
            transfer.begin(request, origin, time.monotonic())
        except (pycurl.error, UnicodeEncodeError, TypeError) as error:
            transfer.handle.close()
            detail = f"not a request that can be sent: {type(error).__name__}"
            return Answer(0, failure=Failure.FORBIDDEN, detail=detail)
        handle = transfer.handle
        self._multi.add_handle(handle)
        self.running[handle] = transfer
        origin.sent_requests += 1
        self._has_new = True
        return None

    def turn(self, results: list[tuple[Request, Answer]]) -> list[tuple[Origin, Answer]]:
        """Send what was handed over and read what has come, adding the answers to `results`.

        Returns the origins that could not be reached at all, each with the reason.
        """
        self.turns += 1
        self._deaf.now = time.monotonic()
        sockets = self._cork() if self._has_new else ()
        self._has_new = False
        try:
            self._multi.perform()
        finally:
            for each in sockets:
                with suppress(OSError):
                    each.cork(0)
        return self._collect(results)

    def _collect(self, results: list[tuple[Request, Answer]]) -> list[tuple[Origin, Answer]]:
        closed: list[tuple[Origin, Answer]] = []
        deaf = set[int]()
        more = 1
        while more:
            more, done, failed = self._multi.info_read(READ_AT_ONCE)
            for handle in done:
                transfer = self._take(handle)
                transfer.origin.warm = True
                self._deaf.hear(transfer)
                results.append((transfer.request, transfer.answer()))
            for handle, code, message in failed:
                transfer = self._take(handle)
                if port := self._deaf.deaf_port(transfer, code):
                    deaf.add(port)
                    transfer.origin.lose()
                answer = transfer.failure(code, message)
                results.append((transfer.request, answer))
                no_way = answer.failure in _NO_WAY and not transfer.body_position
                if no_way and not transfer.origin.warm:
                    closed.append((transfer.origin, answer))
        shut_down(deaf, self._sockets)
        return closed

    def _take(self, handle: pycurl.Curl) -> Transfer:
        """Take a transfer out of libcurl's hands; it is ready for the next request."""
        self._multi.remove_handle(handle)
        transfer = self.running.pop(handle)
        origin = transfer.origin
        origin.sent_requests -= 1
        origin.stuck_since = None
        if transfer.body_position:
            origin.start_count -= 1
        self._free.append(transfer)
        return transfer

    def nap_s(self) -> float | None:
        """Return for how long libcurl is content to sleep; None if only sockets can wake it."""
        timeout_ms = self._multi.timeout()
        return timeout_ms / 1000 if timeout_ms >= 0 else None

    def sockets(self) -> tuple[list[int], list[int]]:
        """Return the numbers of the sockets that it waits to read from, and to write to."""
        reading, writing, _ = self._multi.fdset()
        return reading, writing

    def _cork(self) -> list[LentSocket]:
        """Hold back what is sent until the turn is over: fewer and fuller packets, less work."""
        if not CAN_CORK:
            return []
        self._forget_closed()
        for each in self._sockets:
            each.cork(1)
        return list(self._sockets)

    def _forget_closed(self) -> None:
        closed = [each for each in self._sockets if not each.is_open()]
        for each in closed:
            each.detach()
            self._sockets.remove(each)

    def _open_socket(self, transfer: Transfer, address: pycurl.CurlSockAddr) -> int:
        origin = transfer.origin
        if not may_connect(str(address.addr[0]), origin.host, origin.port, self.guard):
            transfer.is_refused = True
            return _REFUSED
        try:
            opened = LentSocket(address.family, address.socktype, address.protocol)
        except OSError:  # no IPv6 here, say, or too many open files: libcurl tries the next address
            return _REFUSED
        self._forget_closed()
        self._sockets.append(opened)
        origin.sockets = [each for each in origin.sockets if each.is_open()]
        origin.sockets.append(opened)
        return opened.fd

    def drop(self) -> list[Request]:
        """Stop every transfer; returns their requests."""
        deaf = {self._deaf.abandoned_port(each) for each in self.running.values()}
        requests = [self._take(handle) for handle in list(self.running)]
        shut_down(deaf, self._sockets)
        for transfer in requests:
            transfer.forget()
        return [transfer.request for transfer in requests]

    def close(self) -> None:
        """Close every connection and handle."""
        self.drop()
        for each in self._sockets:
            each.detach()
        self._sockets.clear()
        self._multi.close()
        for transfer in self._free:
            transfer.handle.close()
        self._free.clear()
