"""One HTTP/2 connection as a client speaks it (RFC 9113), without a socket.

Bytes that were received go in and answers come out; `data_to_send` gives the bytes to send. The
connection knows where each request begins in all that it wrote. So when it is lost, and the
transport says how much may have left, a request that certainly has not is reported as not sent.
"""

from workers.gateway.http2 import frames
from workers.gateway.http2.events import Answers, ConnectionFailed
from workers.gateway.http2.frames import Frame, ProtocolError
from workers.gateway.http2.header_blocks import HeaderBlocks
from workers.gateway.http2.header_compression import RequestEncoder
from workers.gateway.http2.open_streams import OpenStreams
from workers.gateway.http2.receive_limits import (
    GREETING,
    LEAST_CHARGE,
    SETTINGS_WEIGHT,
    STREAM_WINDOW,
    ReceiveLimits,
)
from workers.gateway.http2.send_queue import SendQueue
from workers.gateway.http2.stream import FIRST_FINAL_STATUS, Stream
from workers.provider import Answer, Failure, Request

NO_LIMIT = 1 << 30
PING = frames.frame(frames.PING, 0, 0, b"alive?!?")
_WHOLE_ANSWER = frames.END_HEADERS | frames.END_STREAM


class Http2Connection:
    """The client's side of a connection to one authority.

    `settings_due` is when the server's SETTINGS must have come, on the clock of `expire`.
    """

    def __init__(self, authority: str, settings_due: float) -> None:
        self.stream_limit = 0
        """How many streams the server allows at once (5.1.2)."""
        self.draining = False
        """Whether it takes no new requests."""
        self.failure: ConnectionFailed | None = None
        """Why it has failed."""
        self.not_taken: list[Request] = []
        """What the server, ending the connection in peace, has not looked at (6.8)."""
        self._queue = SendQueue()
        self._settings_received = False
        self._settings_due = settings_due
        self._encoder = RequestEncoder(authority)
        self._blocks = HeaderBlocks()
        self._next_stream = 1
        self._buffer = b""
        self._limits = ReceiveLimits()
        self._open = OpenStreams(self._queue, self._limits)
        self.streams = self._open.by_number
        self._queue.put(GREETING)

    # ------------------------------------------------------------------ requests

    def available_streams(self) -> int:
        """Return how many more requests it can take now."""
        if self.draining or self._queue.blocked_streams:
            return 0
        return self.stream_limit - len(self.streams)

    def is_full(self, least: int) -> bool:
        """Whether it carries all it may, and that is no less than `least`."""
        return len(self.streams) >= self.stream_limit >= least

    def open_stream(self, request: Request, path: str, deadline: float) -> None:
        """Write a request. Raises ValueError, AttributeError or TypeError if it is none."""
        block = self._encoder.encode(request.method, path, request.headers, len(request.body))
        number = self._next_stream
        self._next_stream = number + 2
        self.draining = self.draining or self._next_stream > frames.LAST_STREAM
        stream = self.streams[number] = Stream(request, deadline, self._queue.written_bytes)
        self._queue.put_request(number, block, stream)

    def drain(self) -> None:
        """Take no new requests; those in flight go on."""
        self.draining = True

    def ping(self) -> None:
        """Ask the server for a sign of life (6.7)."""
        self._queue.put(PING)

    def data_to_send(self) -> bytes:
        """Take out the bytes that were written since the last time."""
        return self._queue.take()

    # ------------------------------------------------------------------ what comes

    def receive(self, data: bytes, answers: Answers) -> None:
        """Read bytes from the server, adding to `answers`; then look at `failure`, `not_taken`."""
        new_frames: list[Frame] = []
        before = len(answers)
        try:
            try:
                buffer = self._buffer + data if self._buffer else data
                self._buffer = frames.split(buffer, new_frames)
            finally:
                self._read(new_frames, answers)
            if (count := len(answers) - before) > 0:
                self._limits.count_answers(count)
        except ProtocolError as error:
            self.draining = True
            goaway = frames.frame(frames.GOAWAY, 0, 0, frames.pack_goaway(error.code))
            self.failure = ConnectionFailed(str(error), goaway)

    def _read(self, new_frames: list[Frame], answers: Answers) -> None:
        streams, blocks = self.streams, self._blocks
        for kind, flags, number, payload in new_frames:
            stream = streams.get(number)
            if stream is None or blocks.is_open:
                self._read_other((kind, flags, number, payload), stream, answers)
            elif kind == frames.HEADERS and flags == _WHOLE_ANSWER:
                # Nearly every answer: one frame and no body.
                status, headers = blocks.decode(payload)
                if status >= FIRST_FINAL_STATUS and not (stream.answer or stream.unsent_body):
                    del streams[number]
                    answers.append((stream.request, Answer(status, headers)))
                else:
                    stream.take_headers(status, headers)
                    self._open.finish(number, stream, answers)
            elif kind == frames.DATA:
                self._read_data(flags, number, payload, stream, answers)
            else:
                self._read_other((kind, flags, number, payload), stream, answers)

    def _read_other(self, frame: Frame, stream: Stream | None, answers: Answers) -> None:
        kind, flags, number, payload = frame
        frames.check(kind, flags, number, payload)
        self._check_order(kind, flags, number)
        if kind in (frames.HEADERS, frames.CONTINUATION):
            self._read_headers(frame, stream, answers)
        elif kind == frames.DATA:
            self._widen_ours(len(payload))
            last = bool(flags & frames.END_STREAM)
            self._limits.count_late_data(number, len(payload), last=last)
        else:
            weight = SETTINGS_WEIGHT if kind == frames.SETTINGS else 1
            self._limits.count_frame(len(payload), weight)
            self._read_control(frame, stream, answers)

    def _check_order(self, kind: int, flags: int, number: int) -> None:
        """Raise ProtocolError for a frame that must not come now."""
        if not self._settings_received and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ProtocolError("the first frame is not SETTINGS")  # 3.4
        if self._blocks.is_open and kind != frames.CONTINUATION:
            raise ProtocolError("a header block was not finished")  # 6.10
        opened = number < self._next_stream and number % 2
        if number and not opened and kind in frames.OPEN_STREAM_KINDS:
            raise ProtocolError("a frame is on a stream that was never opened")  # 5.1, idle

    def _read_headers(self, frame: Frame, stream: Stream | None, answers: Answers) -> None:
        number = frame[2]
        block = self._blocks.add(frame)
        if block is None:
            self._limits.count_frame(len(frame[3]))
            return
        status, headers, last = block
        if stream is not None:
            stream.take_headers(status, headers)
        if stream is not None and last:
            self._open.finish(number, stream, answers)
            return
        self._limits.count_frame(len(frame[3]))
        if last:
            self._limits.end(number)

    def _widen_ours(self, size: int) -> None:
        """Widen the window for answers as bodies use it up, whatever their streams are (6.9)."""
        increment = self._limits.credit(size)
        if increment:
            word = frames.pack_word(increment)
            self._queue.put(frames.frame(frames.WINDOW_UPDATE, 0, 0, word))

    def _read_data(
        self, flags: int, number: int, payload: bytes, stream: Stream, answers: Answers
    ) -> None:
        """Read a part of a body; of one that is longer than its request keeps, the rest is cut."""
        self._widen_ours(len(payload))
        part = frames.plain_payload(frames.DATA, flags, payload)
        if not stream.has_status:
            raise ProtocolError("a body without a status")
        last = flags & frames.END_STREAM
        if len(part) < LEAST_CHARGE and not last:
            self._limits.count_frame()
        enough = stream.take_body(part)
        if stream.received_bytes > STREAM_WINDOW:
            raise ProtocolError("more of a body than was allowed", frames.FLOW_CONTROL_ERROR)
        if last:
            self._open.finish(number, stream, answers)
        elif enough:
            self._open.cut(number, stream, answers)

    def _read_control(self, frame: Frame, stream: Stream | None, answers: Answers) -> None:
        """Read what is about the connection, a window or the end of a stream."""
        kind, flags, number, payload = frame
        if kind == frames.RST_STREAM:
            self._limits.end(number)
            if stream is not None:
                self._open.take_reset(number, frames.read_word(payload), stream, answers)
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._apply_settings(frames.read_settings(payload))
        elif kind == frames.PING and not flags & frames.ACK:
            self._queue.put(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.GOAWAY:
            self._read_goaway(*frames.read_goaway(payload), answers)
        elif kind == frames.WINDOW_UPDATE:
            increment = frames.read_word(payload) & frames.LARGEST_WINDOW
            self._widen(number, stream, increment, answers)
        elif kind == frames.PUSH_PROMISE:
            raise ProtocolError("a push that was ruled out")  # 6.6

    def _widen(self, number: int, stream: Stream | None, increment: int, answers: Answers) -> None:
        """Take credit (6.9); that of a stream which is over is nobody else's (5.1)."""
        if number == 0:
            self._queue.widen_connection(increment)
        elif stream is not None:
            try:
                self._queue.widen_stream(stream, increment)
            except ProtocolError as error:
                self._open.refuse(number, stream, str(error), error.code, answers)

    def _apply_settings(self, values: dict[int, int]) -> None:
        if frames.HEADER_TABLE_SIZE in values:
            self._encoder.limit_table(values[frames.HEADER_TABLE_SIZE])
        if frames.MAX_CONCURRENT_STREAMS in values or not self._settings_received:
            self.stream_limit = values.get(frames.MAX_CONCURRENT_STREAMS, NO_LIMIT)
        self._settings_received = True
        self._queue.put(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._queue.apply_settings(values)

    def _read_goaway(self, last: int, code: int, answers: Answers) -> None:
        """Take a GOAWAY: the server has done nothing for the streams after `last` (6.8).

        One that ends in peace a connection on which it took requests takes the others elsewhere.
        One with an error is not believed of those: nghttp2 names a stream too few in it.
        """
        self.draining = True
        reason = "the connection is ending and the server has not taken this"
        failure = Failure.NOT_SENT if code == frames.NO_ERROR else Failure.UNKNOWN
        for stream in self._open.take_after(last):
            if last and code == frames.NO_ERROR and not stream.has_status:
                self.not_taken.append(stream.request)
            else:
                answers.append((stream.request, stream.fail(failure, reason)))

    # ------------------------------------------------------------------ endings

    def expire(self, now: float, answers: Answers) -> None:
        """End the streams past their deadline; without SETTINGS in time, the connection."""
        if not self._settings_received and now > self._settings_due:
            self.draining = True
            self.failure = ConnectionFailed("no HTTP/2 settings in time")
        else:
            self._open.expire(now, answers)

    def lose(self, reason: str, offered_bytes: int) -> Answers:
        """Answer for everything in flight: the connection is lost.

        At most `offered_bytes` of what it wrote have left.
        """
        self.draining = True
        return self._open.lose(reason, offered_bytes)

    def cancel_all(self) -> list[Request]:
        """Cancel every stream; returns their requests."""
        return self._open.cancel_all()
