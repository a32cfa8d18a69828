"""The way to a new connection, without ever waiting for it: resolve, connect, shake hands.

Only the resolver blocks, so it has a thread. Each address is judged by the pool's guard when it is
connected to, and what was judged is what is connected to.
"""

import errno
import os
import socket
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from workers.gateway.client_socket import keep_alive
from workers.gateway.network_guard import Guard, may_connect
from workers.gateway.origin import CONNECT_TIMEOUT_S, forbidden, not_sent
from workers.provider import Answer

NEXT_ADDRESS_S = 1.5
"""How long one address may take while there are others."""
PROTOCOL = "h2"
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK)

Address = tuple[int, str, int]


class NotHttp2(Exception):
    """The server is there, but speaks no HTTP/2."""


class ConnectionAttempt:
    """One attempt to reach an origin. `step` until it gives a TLS socket or a reason."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext,
        guard: Guard | None,
        resolvers: ThreadPoolExecutor,
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._guard = guard
        self._deadline = time.monotonic() + CONNECT_TIMEOUT_S
        self._resolving: Future[list[Address]] | None = None
        self._addresses: list[Address] = []
        self._address_tried_at = 0.0
        self._raw: socket.socket | None = None
        self._tls: ssl.SSLSocket | None = None
        self._failure = not_sent("no address could be reached")
        try:
            self._resolving = resolvers.submit(_resolve, host, port)
        except RuntimeError:
            self._failure = not_sent("the system has no thread left to resolve the host with")

    def step(self) -> ssl.SSLSocket | Answer | None:
        """Go on as far as possible now. Raises NotHttp2; None when there is more to come."""
        if time.monotonic() > self._deadline:
            self.close()
            return not_sent("no connection in time")
        if self._resolving is not None:
            if not self._resolving.done():
                return None
            try:
                self._filter_addresses(self._resolving.result())
            except OSError as error:
                return not_sent(f"the host cannot be resolved ({type(error).__name__})")
            self._resolving = None
        while self._tls is None:
            if self._raw is None and not self._connect_next():
                return self._failure
            if not self._advance():
                return None
        return self._shake_hands()

    def _filter_addresses(self, addresses: list[Address]) -> None:
        self._addresses = [
            each for each in addresses if may_connect(each[1], self._host, self._port, self._guard)
        ]
        if addresses and not self._addresses:
            self._failure = forbidden("the host is at an address that is not public")

    def _connect_next(self) -> bool:
        if not self._addresses:
            return False
        family, ip, port = self._addresses.pop(0)
        self._address_tried_at = time.monotonic()
        try:
            self._raw = socket.socket(family, socket.SOCK_STREAM)
            self._raw.setblocking(False)
            code = self._raw.connect_ex((ip, port))
        except OSError as error:  # no IPv6 here, say, or too many open files
            code = error.errno or errno.EIO
        if code and code not in _IN_PROGRESS:
            self._fail_address(os.strerror(code))
        return True

    def _advance(self) -> bool:
        """Whether something has come of connecting: a connection, or room for the next address."""
        raw = self._raw
        if raw is None:
            return True
        try:
            return self._take_connected(raw)
        except (OSError, ValueError) as error:
            self._fail_address(type(error).__name__)
            return True

    def _take_connected(self, raw: socket.socket) -> bool:
        code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code and not _is_connected(raw):
            slow = time.monotonic() - self._address_tried_at > NEXT_ADDRESS_S
            if not (slow and self._addresses):
                return False
            code = errno.ETIMEDOUT
        if code:
            self._fail_address(os.strerror(code))
            return True
        keep_alive(raw)
        self._tls = self._context.wrap_socket(
            raw, server_hostname=self._host, do_handshake_on_connect=False
        )
        self._raw = None
        return True

    def _fail_address(self, why: str) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None
        self._failure = not_sent(f"cannot connect: {why}")

    def _shake_hands(self) -> ssl.SSLSocket | Answer | None:
        tls = self._tls
        assert tls is not None  # noqa: S101 - `step` comes here with it only
        try:
            tls.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLCertVerificationError as error:
            self.close()
            return not_sent(f"the certificate is not trusted: {error.verify_message}")
        except OSError as error:
            self.close()
            return not_sent(f"the TLS handshake failed ({type(error).__name__})")
        if tls.selected_alpn_protocol() != PROTOCOL:
            self.close()
            raise NotHttp2
        self._tls = None
        return tls

    def close(self) -> None:
        """Give up, and look nothing up that has not been begun."""
        if self._resolving is not None:
            self._resolving.cancel()
        for each in (self._raw, self._tls):
            if each is not None:
                with suppress(OSError):
                    each.close()
        self._raw = self._tls = None


def _is_connected(raw: socket.socket) -> bool:
    try:
        raw.getpeername()
    except OSError:
        return False
    return True


def _resolve(host: str, port: int) -> list[Address]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("no name of a host") from error
    return [(family, str(address[0]), int(address[1])) for family, _, _, _, address in addresses]
