"""A TLS server that answers the first request of each connection with a flood of frames."""

import socket
import ssl
import threading
from contextlib import suppress

from tests.workers.certificates import Certificate
from tests.workers.http2_peer import data, headers
from workers.gateway.http2 import frames

STATUS_103 = b"\x08\x03103"
OK = b"\x88"
GROWN_TABLE = b"\x40\x01a" + b"\x7f\x81\x1f" + b"v" * 4_096
"""A line of 4,096 bytes that is put into the header table; 0xbe is its index from then on."""

FLOODS = {
    "headers on streams that nobody opened": (
        b"",
        b"".join(headers(number, OK) for number in range(1_001, 2_001, 2)),
    ),
    "headers that do not end the stream": (b"", headers(1, OK) * 1_000),
    "informational answers": (b"", headers(1, STATUS_103) * 1_000),
    "empty continuations": (
        headers(1, OK, 0),
        frames.frame(frames.CONTINUATION, 0, 1) * 1_000,
    ),
    "indices of a long line": (
        headers(1, STATUS_103 + GROWN_TABLE),
        headers(1, STATUS_103 + b"\xbe" * 16_000) * 4,
    ),
    "a body before its status": (b"", data(1, b"x" * 16_000) * 8),
    "a body without an end": (headers(1, OK), data(1, b"x" * 16_000) * 8),
    "a body in tiny parts": (headers(1, OK), data(1, b"x") * 1_000),
    "a body of nothing": (headers(1, OK), data(1, b"") * 1_000),
    "pings": (b"", frames.frame(frames.PING, 0, 0, b"12345678") * 1_000),
    "settings": (b"", frames.settings((frames.INITIAL_WINDOW_SIZE, 1_000)) * 1_000),
    "frames of an unknown kind": (b"", frames.frame(77, 0, 0, b"x" * 16_000) * 8),
}
"""By name: what comes first, and what then comes over and over."""


class HostileServer:
    """Listens on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, certificate: Certificate, first: bytes, repeated: bytes) -> None:
        self._first = first
        self._repeated = repeated
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate.certificate, certificate.key)
        self._tls.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"https://localhost:{self._listener.getsockname()[1]}"
        self.bytes_sent = 0
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(20)
        with suppress(OSError), self._tls.wrap_socket(raw, server_side=True) as secured:
            secured.sendall(frames.settings((frames.MAX_CONCURRENT_STREAMS, 100)))
            received = b""
            while not self._has_request(received):
                if not (part := secured.recv(65_536)):
                    return
                received += part
            secured.sendall(frames.frame(frames.SETTINGS, frames.ACK, 0) + self._first)
            while not self._closed:
                secured.sendall(self._repeated)
                self.bytes_sent += len(self._repeated)

    def _has_request(self, received: bytes) -> bool:
        parts: list[frames.Frame] = []
        frames.split(received.removeprefix(frames.PREFACE), parts)
        return any(kind == frames.HEADERS for kind, *_ in parts)

    def close(self) -> None:
        self._closed = True
        self._listener.close()
