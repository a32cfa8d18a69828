"""An HTTP/2 connection without a network, and the server at its other end."""

from hypothesis import strategies as st

from workers.gateway.http2 import frames
from workers.gateway.http2.connection import Http2Connection
from workers.gateway.http2.events import Answers
from workers.gateway.http2.frames import Frame
from workers.provider import Answer, Request

SETTINGS = frames.settings((frames.MAX_CONCURRENT_STREAMS, 100))
OK = bytes([0x20, 0x88])
LATER = 1e12
LAST = frames.END_HEADERS | frames.END_STREAM

any_frame = st.tuples(
    st.integers(0, 12), st.integers(0, 255), st.integers(0, 99), st.binary(max_size=300)
)


class Peer:
    """A connection, and the server at its other end as far as a test plays it."""

    def __init__(self) -> None:
        self.connection = Http2Connection("push.example", settings_due=LATER)
        self.received = self.connection.data_to_send()
        """All bytes that have reached the server."""
        self.ended: Answers = []
        self.failure = ""

    def sends(self, *parts: bytes) -> list[Answer]:
        """Let the server send something; returns the answers that followed from it."""
        answers: Answers = []
        self.connection.receive(b"".join(parts), answers)
        if self.connection.failure is not None:
            self.failure = self.connection.failure.reason
        self.ended += answers
        self.received += self.connection.data_to_send()
        return [answer for _, answer in answers]

    def gets(self, body: bytes = b"x" * 300, **options: int) -> Request:
        """Let the server get a request."""
        request = self.submit(body, **options)
        self.received += self.connection.data_to_send()
        return request

    def submit(self, body: bytes = b"x" * 300, **options: int) -> Request:
        """Write a request that does not leave yet."""
        request = Request("https://push.example/a", ["ttl: 60"], body, **options)  # type: ignore[arg-type]
        self.connection.open_stream(request, "/a", LATER)
        return request

    def frames(self) -> list[Frame]:
        """Return all frames that have reached the server."""
        received: list[Frame] = []
        assert frames.split(self.received.removeprefix(frames.PREFACE), received) == b""
        return received


def headers(number: int, block: bytes = OK, flags: int = frames.END_HEADERS) -> bytes:
    return frames.frame(frames.HEADERS, flags, number, block)


def data(number: int, body: bytes, flags: int = 0) -> bytes:
    return frames.frame(frames.DATA, flags, number, body)


def window_update(number: int, increment: int) -> bytes:
    return frames.frame(frames.WINDOW_UPDATE, 0, number, frames.pack_word(increment))


def reset(number: int, code: int) -> bytes:
    return frames.frame(frames.RST_STREAM, 0, number, frames.pack_word(code))


def goaway(last: int, code: int = frames.NO_ERROR) -> bytes:
    return frames.frame(frames.GOAWAY, 0, 0, frames.pack_word(last) + frames.pack_word(code))
