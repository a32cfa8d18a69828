"""An HTTP/2 connection without a network, and the server at its other end."""

import ssl

from hypothesis import strategies as st

from workers.gateway.http2 import frames as wire
from workers.gateway.http2.connection import Connection
from workers.provider import Answer, Request

SETTINGS = wire.settings((wire.MAX_CONCURRENT_STREAMS, 100))
OK = bytes([0x20, 0x88])
LATER = 1e12
LAST = wire.END_HEADERS | wire.END_STREAM

any_frame = st.tuples(
    st.integers(0, 12), st.integers(0, 255), st.integers(0, 99), st.binary(max_size=300)
)


class Wires:
    """The two ends of a connection without a network: what is sent, and what is to be read."""

    def __init__(self) -> None:
        self.sent = b""
        self.coming: list[bytes] = []
        self.room = 1 << 30
        self.broken = False

    def send(self, data: memoryview) -> int:
        if self.broken:
            raise BrokenPipeError
        part = bytes(data[: self.room])
        if not part:
            raise ssl.SSLWantWriteError
        self.room -= len(part)
        self.sent += part
        return len(part)

    def recv(self, _: int) -> bytes:
        if not self.coming:
            raise ssl.SSLWantReadError
        return self.coming.pop(0)

    def close(self) -> None:
        self.broken = True

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        found: list[tuple[int, int, int, bytes]] = []
        assert wire.split(self.sent.removeprefix(wire.PREFACE), found) == b""
        return found


class Peer:
    """A connection, and the server at its other end as far as a test plays it."""

    def __init__(self) -> None:
        self.wires = Wires()
        self.connection = Connection(self.wires, "push.example")  # type: ignore[arg-type]
        self.taken: list[tuple[Request, Answer]] = []

    def hear(self, *frames: bytes) -> list[Answer]:
        """Let the server say something; returns the answers that followed from it."""
        before = len(self.taken)
        self.wires.coming.append(b"".join(frames))
        self.connection.receive(self.taken)
        self.connection.out.flush()
        return [answer for _, answer in self.taken[before:]]

    def ask(self, body: bytes = b"x" * 300, **how: int) -> Request:
        request = Request("https://push.example/a", ["ttl: 60"], body, **how)  # type: ignore[arg-type]
        self.connection.begin(request, "/a", LATER)
        self.connection.out.flush()
        return request


def headers(number: int, block: bytes = OK, flags: int = wire.END_HEADERS) -> bytes:
    return wire.frame(wire.HEADERS, flags, number, block)
