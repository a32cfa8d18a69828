"""One HTTP/2 connection to one origin, spoken by ourselves.

It knows of each request how far it has gone: not out of our hands yet, out, answered. So when it
breaks, what had not left comes back as not sent, for certain.
"""

import ssl
import time
from contextlib import suppress

from workers.gateway.http2 import frames as wire
from workers.gateway.http2.frames import BrokenFrame
from workers.gateway.http2.header_lines import OUR_TABLE_SIZE, AnswerLines, RequestLines
from workers.gateway.http2.sending import Outbox
from workers.gateway.http2.stream import Stream
from workers.gateway.origin import CONNECT_TIMEOUT_S
from workers.provider import Answer, Failure, Request

READ_SIZE = 64 * 1024
READS_AT_ONCE = 256
"""Then the others have their turn."""
STREAM_WINDOW = 1 << 20
"""How much of an answer's body may come unasked; no answer that we keep is longer."""
CONNECTION_WINDOW = 1 << 24
NO_LIMIT = 1 << 30
MOST_TALK = 10_000
"""Frames in a row that bring no answer: more of them are an attack."""

Taken = list[tuple[Request, Answer]]
Frame = tuple[int, int, int, bytes]


class Connection:
    """A connection whose TLS handshake is done, on a socket that does not block."""

    def __init__(self, secured: ssl.SSLSocket, authority: str) -> None:
        self.socket = secured
        self.streams: dict[int, Stream] = {}
        self.out = Outbox(secured)
        self.limit = 0
        """How many streams the server allows."""
        self.draining = False
        """Whether it takes no new requests."""
        self.closed = False
        self.hungry = False
        """Whether there was more to read than one turn allows."""
        self._greeted = False
        self._greeting_due = time.monotonic() + CONNECT_TIMEOUT_S
        self._lines = RequestLines(authority)
        self._answers = AnswerLines()
        self._next = 1
        self._in = b""
        self._unacknowledged = 0
        self._talk = 0
        self._headers: tuple[int, int, bytes] | None = None
        """A header block that continues in the next frame: stream, flags, what has come."""
        self.out.put(
            wire.PREFACE
            + wire.settings(
                (wire.HEADER_TABLE_SIZE, OUR_TABLE_SIZE),
                (wire.ENABLE_PUSH, 0),
                (wire.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            )
            + wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.pack_word(CONNECTION_WINDOW))
        )

    def free(self) -> int:
        """Return how many more requests it can take now."""
        if self.draining or self.out.blocked:
            return 0
        return self.limit - len(self.streams)

    def full(self, least: int) -> bool:
        """Whether it carries all it may, and that is no less than `least`."""
        return len(self.streams) >= self.limit >= least

    def begin(self, request: Request, path: str, deadline: float) -> None:
        """Write a request; it leaves with the next flush. Raises ValueError if it is none."""
        block = self._lines.block(request.method, path, request.headers, len(request.body))
        if len(block) > wire.DEFAULT_FRAME_SIZE:
            self.draining = True  # its table has lines that never left
            raise ValueError("headers too long")
        number = self._next
        self._next = number + 2
        self.draining = self.draining or self._next > wire.LAST_STREAM
        stream = self.streams[number] = Stream(request, deadline)
        self.out.put_request(number, block, stream)

    def receive(self, taken: Taken) -> None:
        """Read what has come. Raises OSError, ValueError or BrokenFrame when all is lost."""
        frames: list[Frame] = []
        receive = self.socket.recv
        self.hungry = True
        for _ in range(READS_AT_ONCE):
            try:
                data = receive(READ_SIZE)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.hungry = False
                break
            except OSError:
                self._read(frames, taken)
                raise
            if not data:
                self._read(frames, taken)
                raise ConnectionResetError
            self._in = wire.split(self._in + data if self._in else data, frames)
        self._read(frames, taken)

    def _read(self, frames: list[Frame], taken: Taken) -> None:
        streams, answers = self.streams, self._answers
        whole = wire.END_HEADERS | wire.END_STREAM
        for kind, flags, number, payload in frames:
            stream = streams.get(number)
            if kind == wire.HEADERS and flags == whole and self._headers is None:
                # Nearly every answer: one frame and no body.
                status, headers = answers.read(payload)
                if stream is not None:
                    stream.take_headers(status, headers)
                    self._finish(number, stream, taken)
            elif self._headers is not None and kind != wire.CONTINUATION:
                raise BrokenFrame("a header block was not finished")
            elif kind in (wire.HEADERS, wire.CONTINUATION):
                self._read_headers((kind, flags, number, payload), stream, taken)
            elif kind == wire.DATA:
                self._read_data(flags, number, payload, stream, taken)
            elif kind == wire.RST_STREAM and stream is not None:
                self._read_reset(number, wire.read_word(payload), stream, taken)
            else:
                self._read_talk(kind, flags, payload, stream, taken)

    def _read_headers(self, given: Frame, stream: Stream | None, taken: Taken) -> None:
        kind, flags, number, payload = given
        if kind == wire.HEADERS:
            self._headers = (number, flags, wire.plain_payload(kind, flags, payload))
        elif self._headers is None or self._headers[0] != number:
            raise BrokenFrame("a continuation of nothing")
        else:
            self._headers = (number, self._headers[1], self._headers[2] + payload)
        if len(self._headers[2]) > 4 * wire.DEFAULT_FRAME_SIZE:
            raise BrokenFrame("headers without end")
        if not flags & wire.END_HEADERS:
            return
        _, first_flags, block = self._headers
        self._headers = None
        status, headers = self._answers.read(block)
        if stream is not None:
            stream.take_headers(status, headers)
            if first_flags & wire.END_STREAM:
                self._finish(number, stream, taken)

    def _read_data(
        self, flags: int, number: int, payload: bytes, stream: Stream | None, taken: Taken
    ) -> None:
        self._unacknowledged += len(payload)
        if self._unacknowledged > CONNECTION_WINDOW // 2:
            word = wire.pack_word(self._unacknowledged)
            self.out.put(wire.frame(wire.WINDOW_UPDATE, 0, 0, word))
            self._unacknowledged = 0
        part = wire.plain_payload(wire.DATA, flags, payload)
        if stream is None or not part:
            self._count_talk()
        if stream is None:
            return
        enough = stream.take_body(part)
        if flags & wire.END_STREAM:
            self._finish(number, stream, taken)
        elif enough:
            self._cancel(number, stream)
            taken.append((stream.request, stream.finish()))

    def _read_reset(self, number: int, code: int, stream: Stream, taken: Taken) -> None:
        del self.streams[number]
        self.out.give_up(stream)
        kind = Failure.NOT_SENT if code == wire.REFUSED_STREAM else Failure.UNKNOWN
        why = f"the server has reset the stream (HTTP/2 error {code})"
        taken.append((stream.request, stream.fail(kind, why)))

    def _read_talk(
        self, kind: int, flags: int, payload: bytes, stream: Stream | None, taken: Taken
    ) -> None:
        """Read what is about the connection and not about an answer."""
        self._count_talk()
        if kind == wire.SETTINGS and not flags & wire.ACK:
            self._obey(dict(wire.read_settings(payload)))
        elif kind == wire.PING and not flags & wire.ACK:
            self.out.put(wire.frame(wire.PING, wire.ACK, 0, payload))
        elif kind == wire.GOAWAY:
            self._leave(wire.read_word(payload) & wire.LAST_STREAM, taken)
        elif kind == wire.WINDOW_UPDATE:
            self.out.grant(stream, wire.read_word(payload) & wire.LARGEST_WINDOW)
        elif kind == wire.PUSH_PROMISE:
            raise BrokenFrame("a push that was ruled out")

    def _count_talk(self) -> None:
        self._talk += 1
        if self._talk > MOST_TALK:
            raise BrokenFrame("much talk and no answers")

    def _obey(self, told: dict[int, int]) -> None:
        if wire.HEADER_TABLE_SIZE in told:
            self._lines.limit(told[wire.HEADER_TABLE_SIZE])
        if wire.MAX_CONCURRENT_STREAMS in told or not self._greeted:
            self.limit = told.get(wire.MAX_CONCURRENT_STREAMS, NO_LIMIT)
        self._greeted = True
        self.out.put(wire.frame(wire.SETTINGS, wire.ACK, 0))
        self.out.obey(told)

    def _leave(self, last: int, taken: Taken) -> None:
        """Take a GOAWAY: streams after the last that the server has looked at were not sent."""
        self.draining = True
        for number in [each for each in self.streams if each > last]:
            stream = self.streams.pop(number)
            self.out.give_up(stream)
            why = "the connection is ending and the server has not taken this"
            taken.append((stream.request, stream.fail(Failure.NOT_SENT, why)))

    def _finish(self, number: int, stream: Stream, taken: Taken) -> None:
        self._talk = 0
        if stream.rest:
            self._cancel(number, stream)
        else:
            del self.streams[number]
        taken.append((stream.request, stream.finish()))

    def _cancel(self, number: int, stream: Stream) -> None:
        del self.streams[number]
        self.out.give_up(stream)
        self.out.put(wire.frame(wire.RST_STREAM, 0, number, wire.pack_word(wire.CANCEL)))

    def expire(self, now: float, taken: Taken) -> None:
        """End what has waited too long; the oldest stand first. Raises BrokenFrame."""
        if not self._greeted and now > self._greeting_due:
            raise BrokenFrame("no HTTP/2 settings in time")
        late = []
        for number, stream in self.streams.items():
            if stream.deadline > now:
                break
            late.append((number, stream))
        for number, stream in late:
            # What is written will still leave, ahead of our word that it is cancelled.
            kind = Failure.NOT_SENT if stream.rest else Failure.UNKNOWN
            self._cancel(number, stream)
            taken.append((stream.request, stream.fail(kind, "no answer in time")))

    def lose(self, why: str, taken: Taken) -> None:
        """Answer for everything in flight: the connection is no more."""
        self.close()
        for stream in self.streams.values():
            kind = Failure.UNKNOWN if self.out.gone >= stream.end else Failure.NOT_SENT
            taken.append((stream.request, stream.fail(kind, why)))
        self.streams.clear()

    def drop(self) -> list[Request]:
        """Stop every stream; returns their requests."""
        dropped = [stream.request for stream in self.streams.values()]
        for number, stream in list(self.streams.items()):
            self._cancel(number, stream)
        self.out.flush()
        return dropped

    def close(self) -> None:
        """Close the socket."""
        self.closed = self.draining = True
        with suppress(OSError):
            self.socket.close()
