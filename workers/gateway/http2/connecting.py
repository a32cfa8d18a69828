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

from workers.gateway.network_guard import Guard, may_connect
from workers.gateway.origin import CONNECT_TIMEOUT_S, forbidden, not_sent
from workers.provider import Answer

NEXT_ADDRESS_S = 1.5
"""How long one address may take while there are others."""
PROTOCOL = "h2"
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK)

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
        self._until = time.monotonic() + CONNECT_TIMEOUT_S
        self._resolving: Future[list[Address]] | None = resolvers.submit(_resolve, host, port)
        self._addresses: list[Address] = []
        self._tried_at = 0.0
        self._connecting: socket.socket | None = None
        self._shaking: ssl.SSLSocket | None = None
        self._trouble = not_sent("no address could be reached")
        self.wants_to_write = False

    def fileno(self) -> int | None:
        """Return the socket's number, while there is one."""
        using = self._shaking or self._connecting
        return using.fileno() if using is not None else None

    def step(self) -> ssl.SSLSocket | Answer | None:
        """Go on as far as possible now. Raises NotHttp2; None when there is more to come."""
        if time.monotonic() > self._until:
            self.close()
            return not_sent("no connection in time")
        if self._resolving is not None:
            if not self._resolving.done():
                return None
            try:
                self._admit(self._resolving.result())
            except OSError as error:
                return not_sent(f"the host cannot be resolved ({type(error).__name__})")
            self._resolving = None
        while self._shaking is None:
            if self._connecting is None and not self._connect_next():
                return self._trouble
            if not self._moved():
                return None
        return self._shake()

    def _admit(self, found: list[Address]) -> None:
        self._addresses = [
            each for each in found if may_connect(each[1], self._host, self._port, self._guard)
        ]
        if found and not self._addresses:
            self._trouble = forbidden("the host is at an address that is not public")

    def _connect_next(self) -> bool:
        if not self._addresses:
            return False
        family, ip, port = self._addresses.pop(0)
        self._connecting = socket.socket(family, socket.SOCK_STREAM)
        self._connecting.setblocking(False)
        self._tried_at = time.monotonic()
        code = self._connecting.connect_ex((ip, port))
        if code and code not in _UNDER_WAY:
            self._miss(code)
        return True

    def _moved(self) -> bool:
        """Whether something has come of connecting: a connection, or room for the next address."""
        raw = self._connecting
        if raw is None:
            return True
        code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code and not _stands(raw):
            slow = bool(self._addresses) and time.monotonic() - self._tried_at > NEXT_ADDRESS_S
            code = errno.ETIMEDOUT if slow else 0
            if not code:
                return False
        if code:
            self._miss(code)
            return True
        _keep_alive(raw)
        self._shaking = self._context.wrap_socket(
            raw, server_hostname=self._host, do_handshake_on_connect=False
        )
        self._connecting = None
        return True

    def _miss(self, code: int) -> None:
        if self._connecting is not None:
            self._connecting.close()
            self._connecting = None
        self._trouble = not_sent(f"cannot connect: {os.strerror(code)}")

    def _shake(self) -> ssl.SSLSocket | Answer | None:
        shaking = self._shaking
        assert shaking is not None  # noqa: S101 - `step` comes here with it only
        self.wants_to_write = False
        try:
            shaking.do_handshake()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self.wants_to_write = True
            return None
        except ssl.SSLCertVerificationError as error:
            self.close()
            return not_sent(f"the certificate is not trusted: {error.verify_message}")
        except OSError as error:
            self.close()
            return not_sent(f"the TLS handshake failed ({type(error).__name__})")
        if shaking.selected_alpn_protocol() != PROTOCOL:
            self.close()
            raise NotHttp2
        self._shaking = None
        return shaking

    def close(self) -> None:
        """Give up."""
        for each in (self._connecting, self._shaking):
            if each is not None:
                with suppress(OSError):
                    each.close()
        self._connecting = self._shaking = None


def _keep_alive(raw: socket.socket) -> None:
    """Send without delay, and let the system find out when the other side has vanished."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _stands(raw: socket.socket) -> bool:
    try:
        raw.getpeername()
    except OSError:
        return False
    return True


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("no name of a host") from error
    return [(family, str(address[0]), int(address[1])) for family, _, _, _, address in found]
