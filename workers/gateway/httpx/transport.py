"""httpx's transport with a resolver path of our own: resolve, judge each address, connect to it."""

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from workers.gateway.client_socket import ClientSocket, SocketState
from workers.gateway.network_guard import AddressRefused, Guard, may_connect

KEEP_ALIVE_S = 110.0
MOST_CONNECTIONS = 10


class TimedStream(httpcore.NetworkStream):
    """A stream on which an answer has to come within the time of its first read.

    httpcore gives each read that time again, so a server that never stops would be read for ever.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._until: float | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read; raises ReadTimeout where the time of the first read since a write is over."""
        now = time.monotonic()
        if self._until is None and timeout is not None:
            self._until = now + timeout
        if self._until is not None and now >= self._until:
            raise httpcore.ReadTimeout("no answer in time")
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write; an answer has its time again."""
        self._until = None
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return the stream over TLS, timed likewise."""
        return TimedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream knows."""
        return self._stream.get_extra_info(info)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to the addresses that the guard lets pass, in the resolver's order."""

    def __init__(self, guard: Guard | None) -> None:
        self._guard = guard
        self._plain = httpcore.SyncBackend()
        self._sockets: list[ClientSocket] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers; raises AddressRefused if none is allowed."""
        trouble: Exception = AddressRefused()
        for ip in _resolve(host, port):
            if not may_connect(ip, host, port, self._guard):
                continue
            try:
                stream = self._plain.connect_tcp(ip, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
            else:
                self._watch(stream.get_extra_info("socket"))
                return TimedStream(stream)
        raise trouble

    def _watch(self, opened: socket.socket) -> None:
        self._sockets = [each for each in self._sockets if each.is_open()]
        self._sockets.append(ClientSocket(opened.fileno()))

    def break_off(self) -> None:
        """End every connection; its reader sees that, and closes it."""
        for each in self._sockets:
            each.break_off()

    def any_dead(self) -> bool:
        """Whether the other side has closed a connection; to be asked while all are idle."""
        open_ones = [each for each in self._sockets if each.is_open()]
        return any(each.state() is SocketState.DEAD for each in open_ones)


def _resolve(host: str, port: int) -> list[str]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return [str(address[0]) for *_, address in addresses]


class GuardedTransport(httpx.HTTPTransport):
    """HTTP/2 over TLS, for one request at a time, on connections that the guard has seen.

    httpx breaks off all the requests of a connection when one of them takes too long, and sends
    on connections that the other side has long closed; so requests do not share a connection at
    the same time, and closed ones are left before the next request.
    """

    def __init__(self, context: ssl.SSLContext, guard: Guard | None) -> None:
        super().__init__(verify=context, http2=True, trust_env=False)
        self._context = context
        self._guard = guard
        self._pool.close()
        self._connect_anew()

    def break_off(self) -> None:
        """End the connections from outside; closing them is for the thread that uses them."""
        self._backend.break_off()

    def _connect_anew(self) -> None:
        self._backend = GuardedBackend(self._guard)
        self._pool = httpcore.ConnectionPool(
            ssl_context=self._context,
            http1=True,
            http2=True,
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=self._backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; in a guarded pool https only."""
        if self._guard is not None and request.url.scheme != "https":
            raise httpx.UnsupportedProtocol("https only", request=request)
        if self._backend.any_dead():
            self._pool.close()
            self._connect_anew()
        return super().handle_request(request)
