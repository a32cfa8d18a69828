"""One libcurl handle: a request on its way, then the next one, for the life of the process.

Options that never change are set once; of the others only what differs from the last request. The
body is handed over by a callback, and there is no way to rewind it: so libcurl, which would send a
POST again by itself when its connection breaks, cannot. That callback also tells a request that
has begun to leave from one that still waits inside libcurl, which nothing else does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pycurl

from workers.gateway.lazy_headers import LazyHeaders
from workers.gateway.origin import CONNECT_TIMEOUT_S, USER_AGENT, Origin
from workers.provider import Answer, Failure, Request

MOST_TAKEN = 64 * 1024
"""A longer answer is cut off on the wire, unless its request asked for it."""
FIRST_FINAL_STATUS = 200
IDLE_S = 60
"""A connection that was idle for longer is not used again: libcurl has no PING to ask it with."""

_NEVER_SENT = frozenset({pycurl.E_UNSUPPORTED_PROTOCOL, pycurl.E_URL_MALFORMAT})
"""Of a URL. The first is also said of an answer that is no HTTP."""
_NOT_SENT = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_PROXY,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ENGINE_INITFAILED,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CRL_BADFILE,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_INVALIDCERTSTATUS,
    }
)
_NO_REWIND = "necessary data rewind"
"""How libcurl's message begins when a retry was its first trouble: it retries a refused stream
without a word, while a broken connection has left its own message by then."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What all transfers of a pool obey."""

    ca_path: str
    timeout_s: float
    https_only: bool
    open_socket: Callable[["Transfer", pycurl.CurlSockAddr], int]
    break_off: Callable[[int], None]
    """Ends the connection at a local port."""


class Transfer:
    """A reusable handle; `begin` aims it at a request, `answer` or `failure` reads the result."""

    __slots__ = (
        "_fresh",
        "_headers",
        "_method",
        "_most_taken",
        "_rules",
        "_setopt",
        "_size",
        "_url",
        "body",
        "body_position",
        "chunks",
        "handed_at",
        "handle",
        "is_refused",
        "lines",
        "origin",
        "refused_certificate",
        "request",
    )

    request: Request
    origin: Origin

    def __init__(self, rules: Rules) -> None:
        self.handle = pycurl.Curl()
        self.body = b""
        self.body_position = 0
        """How far the body has been read, and so whether the request has begun to leave."""
        self.handed_at = 0.0
        """When it was handed over (monotonic)."""
        self.is_refused = False
        """Whether the guard has refused an address."""
        self.lines: list[bytes] = []
        self.chunks: list[bytes] = []
        self.refused_certificate = False
        """Whether the server's certificate names no host."""
        self._rules = rules
        self._setopt = self.handle.setopt
        self._url = ""
        self._headers: Sequence[str] | None = None
        self._size = -1
        self._method = ""
        self._fresh = False
        self._most_taken = MOST_TAKEN
        self._set_once(rules)

    def _set_once(self, rules: Rules) -> None:
        plain = 0 if rules.https_only else pycurl.PROTO_HTTP
        for option, value in (
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 1),
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTPS | plain),
            (pycurl.PROXY, ""),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.CAINFO, rules.ca_path),
            (pycurl.DNS_CACHE_TIMEOUT, 0),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.MAXAGE_CONN, IDLE_S),
            (pycurl.CONNECTTIMEOUT_MS, int(min(CONNECT_TIMEOUT_S, rules.timeout_s) * 1000)),
            (pycurl.TIMEOUT_MS, int(rules.timeout_s * 1000)),
            (pycurl.MAXFILESIZE, MOST_TAKEN),
            (pycurl.USERAGENT, USER_AGENT),
            (pycurl.HEADERFUNCTION, self.lines.append),
            (pycurl.WRITEFUNCTION, self.chunks.append),
            (pycurl.READFUNCTION, self._read),
            (pycurl.OPT_CERTINFO, 1),
            (pycurl.PREREQFUNCTION, self._check_certificate),
            (pycurl.OPENSOCKETFUNCTION, lambda _purpose, address: rules.open_socket(self, address)),
        ):
            self._setopt(option, value)

    def begin(self, request: Request, origin: Origin, now: float) -> None:
        """Aim the handle at a request. Raises pycurl.error when libcurl cannot take it."""
        self.request = request
        self.origin = origin
        self.handed_at = now
        self.refused_certificate = False
        self.body_position = 0
        self.is_refused = False
        self.body = body = request.body
        url, headers = request.url, request.headers
        if url is not self._url:
            self._setopt(pycurl.URL, url)
            self._url = url
        if headers is not self._headers:
            self._setopt(pycurl.HTTPHEADER, headers)
            self._headers = headers
        if request.method is not self._method:
            self._set_method(request.method)
        if len(body) != self._size:
            self._size = len(body)
            self._setopt(pycurl.POSTFIELDSIZE, self._size)
        if origin.is_lost is not self._fresh:
            # Of its own accord libcurl looks once a second whether a connection is dead.
            self._fresh = origin.is_lost
            self._setopt(pycurl.FRESH_CONNECT, int(self._fresh))
        origin.is_lost = False
        if request.answer_limit > self._most_taken:
            self._most_taken = request.answer_limit
            self._setopt(pycurl.MAXFILESIZE, self._most_taken)

    def _set_method(self, method: str) -> None:
        self.handle.unsetopt(pycurl.CUSTOMREQUEST)
        self._setopt(pycurl.HTTPGET if method == "GET" else pycurl.POST, 1)
        if method not in ("GET", "POST"):
            self._setopt(pycurl.CUSTOMREQUEST, method)
        self._method = method

    def _check_certificate(self, _ip: str, _local_ip: str, _port: int, local_port: int) -> int:
        """Before the request leaves: refuse a certificate that names its host in the subject only.

        libcurl accepts it, against RFC 9525, section 2. On a connection that is used again there is
        nothing to check.
        """
        chain = self.handle.getinfo(pycurl.INFO_CERTINFO)
        if not chain or any(_names_host(*field) for field in chain[0]):
            return pycurl.PREREQFUNC_OK
        self.refused_certificate = True
        self.origin.lose()
        self._rules.break_off(local_port)
        return pycurl.PREREQFUNC_ABORT

    def _read(self, room: int) -> bytes:
        start = self.body_position
        if not start:
            self.origin.start_count += 1
        self.body_position = start + room
        return self.body[start : start + room]

    def answer(self) -> Answer:
        """Return what came back, and be ready for the next request."""
        chunks, lines = self.chunks, self.lines
        status = self.handle.getinfo(pycurl.RESPONSE_CODE)
        body = b""
        if chunks:
            body = b"".join(chunks)[: self.request.answer_limit]
            chunks.clear()
        answer = Answer(status, LazyHeaders(lines[:]), body)
        lines.clear()
        return answer

    def failure(self, code: int, message: str) -> Answer:
        """Return why there is no answer; an answer that broke off in its body is still one."""
        if self.handle.getinfo(pycurl.RESPONSE_CODE) >= FIRST_FINAL_STATUS:
            return self.answer()
        if self.refused_certificate:
            message = "the certificate is not trusted: it names no host beside its subject"
        detail = " ".join(f"{message or pycurl.easy_strerror(code)} (curl {code})".split())
        answer = Answer(0, failure=self._why(code, message), detail=detail)
        self.forget()
        return answer

    def _why(self, code: int, message: str) -> Failure:
        is_impossible = code in _NEVER_SENT and not self.body_position
        if is_impossible or (self.is_refused and code == pycurl.E_COULDNT_CONNECT):
            return Failure.FORBIDDEN
        if code in _NOT_SENT or self.refused_certificate or (self.body and not self.body_position):
            return Failure.NOT_SENT
        if code == pycurl.E_SEND_FAIL_REWIND and message.startswith(_NO_REWIND):
            return Failure.NOT_SENT
        return Failure.UNKNOWN

    def forget(self) -> None:
        """Drop what came back."""
        self.lines.clear()
        self.chunks.clear()


def _names_host(name: str, value: str, *_: str) -> bool:
    """Whether a field of a certificate names hosts (RFC 5280, 4.2.1.6)."""
    return name == "X509v3 Subject Alternative Name" and ("DNS:" in value or "IP Address:" in value)
