"""The frames that wait to be sent, within the windows that the server grants (RFC 9113, 5.2)."""

from collections import deque

from workers.gateway.http2 import frames
from workers.gateway.http2.frames import ProtocolError
from workers.gateway.http2.stream import Stream


class SendQueue:
    """Frames in their order, and the bodies that have to wait for a window."""

    def __init__(self) -> None:
        self.written_bytes = 0
        """Bytes written to this connection since it began."""
        self.blocked_streams: deque[tuple[int, Stream]] = deque()
        """Streams with a body that waits for a window."""
        self._parts: list[bytes] = []
        self._window = frames.DEFAULT_WINDOW
        self._stream_window = frames.DEFAULT_WINDOW
        self._frame_size = frames.DEFAULT_FRAME_SIZE

    def take(self) -> bytes:
        """Take out what was written since the last time."""
        if not self._parts:
            return b""
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    def put(self, data: bytes) -> None:
        """Write whole frames."""
        self._parts.append(data)
        self.written_bytes += len(data)

    def put_request(self, number: int, block: bytes, stream: Stream) -> None:
        """Write a request: its headers at once, its body as far as the windows allow."""
        body = stream.request.body
        size, length = len(body), len(block)
        pack = frames.pack_head
        if 0 < size <= self._window and size <= self._stream_window and size <= self._frame_size:
            self._window -= size
            headers = pack(length >> 8, length & 0xFF, frames.HEADERS, frames.END_HEADERS, number)
            data = pack(size >> 8, size & 0xFF, frames.DATA, frames.END_STREAM, number)
            packet = b"".join((headers, block, data, body))
            self._parts.append(packet)
            self.written_bytes += len(packet)
            return
        flags = frames.END_HEADERS if size else frames.END_HEADERS | frames.END_STREAM
        self.put(frames.frame(frames.HEADERS, flags, number, block))
        if size:
            stream.unsent_body = body
            stream.window = self._stream_window
            self.blocked_streams.append((number, stream))
            self._write_bodies()

    def _write_bodies(self) -> None:
        """Write of the waiting bodies what the windows allow, each in its turn."""
        for _ in range(len(self.blocked_streams)):
            if self._window <= 0:
                return
            number, stream = self.blocked_streams.popleft()
            self._write_body(number, stream)
            if stream.unsent_body:
                self.blocked_streams.append((number, stream))

    def _write_body(self, number: int, stream: Stream) -> None:
        while stream.unsent_body:
            body = stream.unsent_body
            size = min(len(body), self._window, stream.window, self._frame_size)
            if size <= 0:
                return
            part, stream.unsent_body = body[:size], body[size:]
            self._window -= size
            stream.window -= size
            last = 0 if stream.unsent_body else frames.END_STREAM
            self.put(frames.frame(frames.DATA, last, number, part))

    def give_up(self, stream: Stream) -> None:
        """Write no more of a body."""
        self.blocked_streams = deque(each for each in self.blocked_streams if each[1] is not stream)

    def widen_connection(self, increment: int) -> None:
        """Widen the connection's window (6.9.1)."""
        self._window = _widened(self._window, increment)
        self._write_bodies()

    def widen_stream(self, stream: Stream, increment: int) -> None:
        """Widen the window of one stream, which matters while its body waits (6.9.1)."""
        stream.window = _widened(stream.window, increment)
        self._write_bodies()

    def apply_settings(self, values: dict[int, int]) -> None:
        """Follow the server's settings: the initial window also changes open streams' (6.9.2)."""
        change = values.get(frames.INITIAL_WINDOW_SIZE, self._stream_window) - self._stream_window
        self._stream_window += change
        for _, stream in self.blocked_streams:
            stream.window = _checked(stream.window + change)
        self._frame_size = values.get(frames.MAX_FRAME_SIZE, self._frame_size)
        self._write_bodies()


def _widened(window: int, increment: int) -> int:
    if increment == 0:
        raise ProtocolError("a window is widened by nothing")
    return _checked(window + increment)


def _checked(window: int) -> int:
    if window > frames.LARGEST_WINDOW:
        raise ProtocolError("a window is too wide", frames.FLOW_CONTROL_ERROR)
    return window
