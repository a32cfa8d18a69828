"""A GET, or the POST of a form, to an address that somebody named: bounded, and guarded.

The address that a host resolves to is judged at the moment of connecting, at every redirect again,
so a name cannot lead into our own network. Sizes are those after decompression.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import certifi
import pycurl

from service.fetching.allowed_hosts import AllowedHosts
from service.fetching.fetch_errors import FetchFailed, describe_failure, too_large
from service.formats.links import absolute_link

USER_AGENT = "Newszop/1.0 (+feeds)"
CONNECT_TIMEOUT_MS = 5_000
WHOLE_S = 15.0
"""For one address with all its redirects."""
MOST_REDIRECTS = 5
MOST_HEADERS = 200
_PERMANENT = frozenset({301, 308})
_REDIRECTS = _PERMANENT | {302, 303, 307}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """What is asked for, and how much of an answer is taken. With a `form` it is a POST."""

    address: str
    most_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    form: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedDocument:
    """An answer: header names in lower case, and the address that it came from in the end.

    `permanent_address` is where the requested address has moved for good; empty when it has not.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str
    permanent_address: str = ""

    @property
    def charset(self) -> str | None:
        """The character set that the header names."""
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.strip().partition("=")
            if name.lower() == "charset" and value:
                return value.strip("\"' ")
        return None


class Fetcher:
    """Fetches from any thread; each has a handle of its own, which keeps its trust and sockets."""

    def __init__(
        self,
        allowed_hosts: AllowedHosts,
        *,
        whole_s: float = WHOLE_S,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._hosts = allowed_hosts
        self._whole_s = whole_s
        self._is_stopping = is_stopping
        self._of_thread = threading.local()

    def fetch(self, request: FetchRequest) -> FetchedDocument:
        """Return the answer, whatever its status; raises `FetchFailed` with a sentence."""
        address = request.address
        permanent_address = ""
        has_moved = True
        deadline = time.monotonic() + self._whole_s
        for _ in range(MOST_REDIRECTS + 1):
            exchange = _Exchange(address, request, self._hosts, self._is_stopping)
            status = exchange.run(self._handle(), deadline)
            target = absolute_link(exchange.headers.get("location", ""), address)
            if request.form is not None or status not in _REDIRECTS or target is None:
                return FetchedDocument(
                    status=status,
                    headers=exchange.headers,
                    body=b"".join(exchange.chunks),
                    address=address,
                    permanent_address=permanent_address,
                )
            address = target
            has_moved = has_moved and status in _PERMANENT
            permanent_address = target if has_moved else permanent_address
        raise FetchFailed(f"The address leads on to another more than {MOST_REDIRECTS} times.")

    def _handle(self) -> pycurl.Curl:
        handle = getattr(self._of_thread, "handle", None)
        if handle is None:
            handle = self._of_thread.handle = pycurl.Curl()
        handle.reset()
        return handle


class _Exchange:
    """One request and its answer as it comes."""

    def __init__(
        self,
        address: str,
        request: FetchRequest,
        hosts: AllowedHosts,
        is_stopping: Callable[[], bool],
    ) -> None:
        parts = urlsplit(address)
        self._address, self._request, self._hosts = address, request, hosts
        self._is_stopping = is_stopping
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._size = 0
        self._refused_ip = ""
        self._is_too_large = False
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []

    def run(self, handle: pycurl.Curl, deadline: float) -> int:
        """Return the status; raises `FetchFailed`."""
        left_ms = int(1000 * (deadline - time.monotonic()))
        if left_ms <= 0:
            raise FetchFailed("It took too long to answer.")
        self._set_options(handle, left_ms)
        try:
            handle.perform()
        except pycurl.error as error:
            if self._is_too_large:
                raise too_large(self._request.most_bytes) from None
            raise describe_failure(int(error.args[0]), self._host, self._refused_ip) from None
        return int(handle.getinfo(pycurl.RESPONSE_CODE))

    def _set_options(self, handle: pycurl.Curl, left_ms: int) -> None:
        headers = {"User-Agent": USER_AGENT, "Expect": ""} | dict(self._request.headers)
        for option, value in (
            (pycurl.URL, self._address.encode()),
            (
                pycurl.HTTPHEADER,
                [f"{name}: {text}".encode("latin-1") for name, text in headers.items()],
            ),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),
            (pycurl.NOSIGNAL, 1),
            (pycurl.CAINFO, certifi.where()),
            (pycurl.ACCEPT_ENCODING, ""),
            (pycurl.CONNECTTIMEOUT_MS, min(CONNECT_TIMEOUT_MS, left_ms)),
            (pycurl.TIMEOUT_MS, left_ms),
            (pycurl.MAXCONNECTS, 4),
            (pycurl.OPENSOCKETFUNCTION, self._open_socket),
            (pycurl.HEADERFUNCTION, self._take_header),
            (pycurl.WRITEFUNCTION, self._take_chunk),
            (pycurl.NOPROGRESS, 0),
            (pycurl.XFERINFOFUNCTION, self._go_on),
        ):
            handle.setopt(option, value)
        if self._request.form is not None:
            handle.setopt(pycurl.POSTFIELDS, self._request.form)

    def _open_socket(self, _purpose: int, address: pycurl.CurlSockAddr) -> object:
        ip = str(address.addr[0])
        if not self._hosts.may_connect(ip, self._host, self._port):
            self._refused_ip = ip
            return pycurl.SOCKET_BAD
        try:
            return socket.socket(address.family, address.socktype, address.protocol)
        except OSError:
            return pycurl.SOCKET_BAD

    def _take_header(self, line: bytes) -> None:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon and len(self.headers) < MOST_HEADERS:
            self.headers[name.strip().lower()] = value.strip()
        elif line.startswith(b"HTTP/"):
            self.headers.clear()  # what came before was an interim answer

    def _take_chunk(self, chunk: bytes) -> int:
        self._size += len(chunk)
        if self._size > self._request.most_bytes:
            self._is_too_large = True
            return 0
        self.chunks.append(chunk)
        return len(chunk)

    def _go_on(self, *_: float) -> int:
        return int(self._is_stopping())
