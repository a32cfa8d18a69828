"""One HTTP/2 connection to one origin, spoken by ourselves.

It knows of each request how far it has gone: not out of our hands yet, out, answered. So when it
breaks, what had not left comes back as not sent, for certain.
"""

import socket
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from workers.provider import Answer, Failure, Request
from workers.senders import wire_frames as wire
from workers.senders.hpack_lines import OUR_TABLE_SIZE, AnswerLines, RequestLines
from workers.senders.wire_frames import BrokenFrame

READ_SIZE = 64 * 1024
WRITE_SIZE = 256 * 1024
STREAM_WINDOW = 1 << 20
"""How much of an answer's body may come unasked; no answer that we keep is longer."""
CONNECTION_WINDOW = 1 << 24
STREAMS_UNTIL_TOLD = 100
FIRST_FINAL_STATUS = 200
NO_LIMIT = 1 << 30

Taken = list[tuple[Request, Answer]]


@dataclass(slots=True, eq=False)
class Stream:
    """A request on its way; `end` is where its last byte stands in all that we have written."""

    request: Request
    deadline: float
    begin: int = 0
    end: int = 0
    rest: bytes = b""
    """What of its body the server has not yet allowed us to send."""
    window: int = 0
    status: int = 0
    answer: Answer | None = None
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0


class Connection:
    """A connection with its handshake done; `socket` does not block."""

    def __init__(self, secured: ssl.SSLSocket, authority: str) -> None:
        self.socket = secured
        self.streams: dict[int, Stream] = {}
        self.limit = 0
        """How many streams the server allows; 0 until it has said so."""
        self.draining = False
        """Whether it takes no new requests."""
        self.closed = False
        self._lines = RequestLines(authority)
        self._answers = AnswerLines()
        self._next = 1
        self._out: list[bytes] = []
        self._written = 0
        """Bytes given to the connection since it began, and those that TLS has taken."""
        self._left = 0
        self._rest = memoryview(b"")
        self._in = b""
        self._window = wire.DEFAULT_WINDOW
        self._stream_window = wire.DEFAULT_WINDOW
        self._frame_size = wire.DEFAULT_FRAME_SIZE
        self._blocked: deque[int] = deque()
        self._unacknowledged = 0
        self._headers: tuple[int, int, bytes] | None = None
        self._put(
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
        if self.draining or self._blocked:
            return 0
        return self.limit - len(self.streams)

    def begin(self, request: Request, path: str, deadline: float) -> None:
        """Write a request; it leaves with the next `flush`. Raises ValueError if it is none."""
        body = request.body
        size = len(body)
        block = self._lines.block(request.method, path, request.headers, size)
        if len(block) > wire.DEFAULT_FRAME_SIZE:
            raise ValueError("headers too long")
        number = self._next
        self._next += 2
        if self._next > wire.LAST_STREAM:
            self.draining = True
        head = wire.pack_head
        begin = self._written
        high, low = divmod(len(block), 256)
        if not size:
            data = head(high, low, wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, number) + block
            rest = b""
        elif size <= self._window and size <= self._stream_window and size <= self._frame_size:
            self._window -= size
            data = b"".join(
                (
                    head(high, low, wire.HEADERS, wire.END_HEADERS, number),
                    block,
                    head(size >> 8, size & 0xFF, wire.DATA, wire.END_STREAM, number),
                    body,
                )
            )
            rest = b""
        else:
            data = head(high, low, wire.HEADERS, wire.END_HEADERS, number) + block
            rest = body
        self._out.append(data)
        self._written = end = begin + len(data)
        stream = self.streams[number] = Stream(request, deadline, begin, end, rest)
        if rest:
            stream.end = wire.LARGEST_WINDOW
            stream.window = self._stream_window
            self._blocked.append(number)
            self._pump()

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self._written += len(data)

    def _pump(self) -> None:
        """Write of the bodies that wait what the server's windows allow."""
        waiting, self._blocked = self._blocked, deque()
        for number in waiting:
            stream = self.streams.get(number)
            if stream is None:
                continue
            while stream.rest:
                size = min(len(stream.rest), self._window, stream.window, self._frame_size)
                if size <= 0:
                    break
                part, stream.rest = stream.rest[:size], stream.rest[size:]
                self._window -= size
                stream.window -= size
                last = 0 if stream.rest else wire.END_STREAM
                self._put(wire.frame(wire.DATA, last, number, part))
            if stream.rest:
                self._blocked.append(number)
            else:
                stream.end = self._written

    # ------------------------------------------------------------------ sending

    def flush(self) -> bool:
        """Let TLS take what was written; returns whether some is left for later."""
        try:
            while self._rest or self._out:
                if not self._rest:
                    self._rest = memoryview(b"".join(self._out))
                    self._out.clear()
                sent = self.socket.send(self._rest)
                self._left += sent
                self._rest = self._rest[sent:]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return True
        return False

    # ---------------------------------------------------------------- receiving

    def receive(self, taken: Taken) -> None:
        """Read what has come. Raises OSError or BrokenFrame when the connection is lost."""
        frames: list[tuple[int, int, int, bytes]] = []
        receive = self.socket.recv
        while True:
            try:
                data = receive(READ_SIZE)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            if not data:
                self._take_all(frames, taken)
                raise ConnectionResetError("closed by the other side")
            self._in = wire.split(self._in + data if self._in else data, frames)
        self._take_all(frames, taken)

    def _take_all(self, frames: list[tuple[int, int, int, bytes]], taken: Taken) -> None:
        streams, answers = self.streams, self._answers
        whole = wire.END_HEADERS | wire.END_STREAM
        for kind, flags, number, payload in frames:
            if kind == wire.HEADERS and flags == whole and self._headers is None:
                # Nearly every answer: one frame, no body.
                status, headers = answers.read(payload)
                stream = streams.pop(number, None)
                if stream is not None:
                    if stream.status:
                        self._end(stream, taken)
                    else:
                        taken.append((stream.request, Answer(status, headers)))
            else:
                self._take(kind, flags, number, payload, taken)

    def _take(self, kind: int, flags: int, number: int, payload: bytes, taken: Taken) -> None:
        if self._headers is not None and kind != wire.CONTINUATION:
            raise BrokenFrame("a header block was not finished")
        if kind in (wire.HEADERS, wire.CONTINUATION):
            self._take_headers(kind, flags, number, payload, taken)
        elif kind == wire.DATA:
            self._take_data(flags, number, payload, taken)
        elif kind == wire.RST_STREAM:
            self._take_reset(number, wire.read_word(payload), taken)
        elif kind == wire.SETTINGS and not flags & wire.ACK:
            self._take_settings(payload)
        elif kind == wire.PING and not flags & wire.ACK:
            self._put(wire.frame(wire.PING, wire.ACK, 0, payload))
        elif kind == wire.GOAWAY:
            self._take_goaway(wire.read_word(payload) & wire.LAST_STREAM, taken)
        elif kind == wire.WINDOW_UPDATE:
            self._take_window(number, wire.read_word(payload) & wire.LARGEST_WINDOW)
        elif kind == wire.PUSH_PROMISE:
            raise BrokenFrame("a push that we have ruled out")

    def _take_headers(
        self, kind: int, flags: int, number: int, payload: bytes, taken: Taken
    ) -> None:
        if kind == wire.HEADERS:
            self._headers = (number, flags, wire.plain_payload(kind, flags, payload))
        elif self._headers is None or self._headers[0] != number:
            raise BrokenFrame("a continuation of nothing")
        else:
            block = self._headers[2] + payload
            if len(block) > 4 * wire.DEFAULT_FRAME_SIZE:
                raise BrokenFrame("headers without end")
            self._headers = (number, self._headers[1], block)
        if not flags & wire.END_HEADERS:
            return
        _, first_flags, block = self._headers
        self._headers = None
        status, headers = self._answers.read(block)
        stream = self.streams.get(number)
        if stream is None:
            return
        if status >= FIRST_FINAL_STATUS and not stream.status:
            stream.status = status
            stream.answer = Answer(status, headers)
        if first_flags & wire.END_STREAM:
            del self.streams[number]
            self._end(stream, taken)

    def _take_data(self, flags: int, number: int, payload: bytes, taken: Taken) -> None:
        self._unacknowledged += len(payload)
        if self._unacknowledged > CONNECTION_WINDOW // 2:
            word = wire.pack_word(self._unacknowledged)
            self._put(wire.frame(wire.WINDOW_UPDATE, 0, 0, word))
            self._unacknowledged = 0
        stream = self.streams.get(number)
        if stream is None:
            return
        part = wire.plain_payload(wire.DATA, flags, payload)
        stream.chunks.append(part)
        stream.size += len(part)
        if flags & wire.END_STREAM:
            del self.streams[number]
            self._end(stream, taken)
        elif stream.size >= stream.request.answer_limit and stream.status:
            self._cancel(number)
            self._end(stream, taken)

    def _end(self, stream: Stream, taken: Taken) -> None:
        """Give the answer of a stream as far as it has come."""
        answer = stream.answer
        if answer is None:
            answer = Answer(0, failure=Failure.UNKNOWN, detail="an answer without a status")
        else:
            answer.body = b"".join(stream.chunks)[: stream.request.answer_limit]
        taken.append((stream.request, answer))

    def _cancel(self, number: int) -> None:
        del self.streams[number]
        self._put(wire.frame(wire.RST_STREAM, 0, number, wire.pack_word(wire.CANCEL)))

    def _take_reset(self, number: int, code: int, taken: Taken) -> None:
        stream = self.streams.pop(number, None)
        if stream is None:
            return
        if stream.status:
            self._end(stream, taken)
            return
        kind = Failure.NOT_SENT if code == wire.REFUSED_STREAM else Failure.UNKNOWN
        detail = f"stream reset by the server (HTTP/2 error {code})"
        taken.append((stream.request, Answer(0, failure=kind, detail=detail)))

    def _take_settings(self, payload: bytes) -> None:
        told = dict(wire.read_settings(payload))
        if wire.HEADER_TABLE_SIZE in told:
            self._lines.limit(told[wire.HEADER_TABLE_SIZE])
        if wire.INITIAL_WINDOW_SIZE in told:
            change = told[wire.INITIAL_WINDOW_SIZE] - self._stream_window
            self._stream_window += change
            for number in self._blocked:
                if number in self.streams:
                    self.streams[number].window += change
        self._frame_size = told.get(wire.MAX_FRAME_SIZE, self._frame_size)
        self.limit = told.get(wire.MAX_CONCURRENT_STREAMS, self.limit or NO_LIMIT)
        self._put(wire.frame(wire.SETTINGS, wire.ACK, 0))
        self._pump()

    def _take_goaway(self, last: int, taken: Taken) -> None:
        self.draining = True
        for number in [each for each in self.streams if each > last]:
            stream = self.streams.pop(number)
            detail = "the connection is ending and the server has not taken this"
            answer = Answer(0, failure=Failure.NOT_SENT, detail=detail)
            taken.append((stream.request, answer))

    def _take_window(self, number: int, more: int) -> None:
        if number == 0:
            self._window += more
        elif (stream := self.streams.get(number)) is not None:
            stream.window += more
        if self._blocked:
            self._pump()

    # ----------------------------------------------------------------- endings

    def expire(self, now: float, taken: Taken) -> None:
        """End what has waited too long; the oldest stand first."""
        late = []
        for number, stream in self.streams.items():
            if stream.deadline > now:
                break
            late.append(number)
        for number in late:
            stream = self.streams[number]
            self._cancel(number)
            if stream.status:
                self._end(stream, taken)
                continue
            # What is written will still leave, before our word that it is cancelled.
            kind = Failure.NOT_SENT if stream.rest else Failure.UNKNOWN
            taken.append((stream.request, Answer(0, failure=kind, detail="no answer in time")))

    def lose(self, why: str, taken: Taken) -> None:
        """Answer for everything in flight: the connection is no more."""
        for stream in self.streams.values():
            if stream.status:
                self._end(stream, taken)
                continue
            kind = Failure.UNKNOWN if self._left >= stream.end else Failure.NOT_SENT
            taken.append((stream.request, Answer(0, failure=kind, detail=why)))
        self.streams.clear()
        self.close()

    def drop(self) -> list[Request]:
        """Stop every stream; returns their requests."""
        dropped = [stream.request for stream in self.streams.values()]
        for number in list(self.streams):
            self._cancel(number)
        return dropped

    def close(self) -> None:
        """Close the socket."""
        self.closed = self.draining = True
        with suppress(OSError):
            self.socket.close()
