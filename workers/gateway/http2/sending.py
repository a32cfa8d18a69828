"""What goes out on one HTTP/2 connection, within the windows that the other side grants."""

import ssl
from collections import deque

from workers.gateway.http2 import frames as wire
from workers.gateway.http2.stream import NEVER, Stream


class Outbox:
    """Frames in their order, and the bodies that have to wait for a window."""

    def __init__(self, secured: ssl.SSLSocket) -> None:
        self.written = 0
        """Bytes given to this connection since it began."""
        self.gone = 0
        """Those of them that TLS has taken and the system may have sent."""
        self.blocked: deque[tuple[int, Stream]] = deque()
        self.trouble = ""
        self._socket = secured
        self._out: list[bytes] = []
        self._rest = memoryview(b"")
        self._window = wire.DEFAULT_WINDOW
        self._stream_window = wire.DEFAULT_WINDOW
        self._frame_size = wire.DEFAULT_FRAME_SIZE

    def put(self, data: bytes) -> int:
        """Write whole frames; returns where their end stands."""
        self._out.append(data)
        self.written += len(data)
        return self.written

    def put_request(self, number: int, block: bytes, stream: Stream) -> None:
        """Write a request: its headers at once, its body as far as the windows allow."""
        body = stream.request.body
        size, length = len(body), len(block)
        pack = wire.pack_head
        if 0 < size <= self._window and size <= self._stream_window and size <= self._frame_size:
            self._window -= size
            begin = pack(length >> 8, length & 0xFF, wire.HEADERS, wire.END_HEADERS, number)
            rest = pack(size >> 8, size & 0xFF, wire.DATA, wire.END_STREAM, number)
            stream.end = self.put(b"".join((begin, block, rest, body)))
            return
        flags = wire.END_HEADERS if size else wire.END_HEADERS | wire.END_STREAM
        stream.end = self.put(wire.frame(wire.HEADERS, flags, number, block))
        if size:
            stream.end = NEVER
            stream.rest = body
            stream.window = self._stream_window
            self.blocked.append((number, stream))
            self.pump()

    def pump(self) -> None:
        """Write of the waiting bodies what the windows allow."""
        waiting, self.blocked = self.blocked, deque()
        for number, stream in waiting:
            self._pump_one(number, stream)
            if stream.rest:
                self.blocked.append((number, stream))

    def _pump_one(self, number: int, stream: Stream) -> None:
        while stream.rest:
            size = min(len(stream.rest), self._window, stream.window, self._frame_size)
            if size <= 0:
                return
            part, stream.rest = stream.rest[:size], stream.rest[size:]
            self._window -= size
            stream.window -= size
            last = 0 if stream.rest else wire.END_STREAM
            stream.end = self.put(wire.frame(wire.DATA, last, number, part))
            if stream.rest:
                stream.end = NEVER

    def give_up(self, stream: Stream) -> None:
        """Write no more of a body."""
        self.blocked = deque(each for each in self.blocked if each[1] is not stream)

    def grant(self, stream: Stream | None, more: int) -> None:
        """Widen the window of a stream, or of the connection. Raises BrokenFrame past the most."""
        if stream is not None:
            stream.window += more
        else:
            self._window += more
            if self._window > wire.LARGEST_WINDOW:
                raise wire.BrokenFrame("a window that is too wide")
        if self.blocked:
            self.pump()

    def obey(self, told: dict[int, int]) -> None:
        """Follow the other side's settings."""
        change = told.get(wire.INITIAL_WINDOW_SIZE, self._stream_window) - self._stream_window
        self._stream_window += change
        for _, stream in self.blocked:
            stream.window += change
        self._frame_size = told.get(wire.MAX_FRAME_SIZE, self._frame_size)
        self.pump()

    def flush(self) -> None:
        """Let TLS take what was written, as far as it does; what breaks is kept as `trouble`."""
        try:
            while self._rest or self._out:
                if not self._rest:
                    self._rest = memoryview(b"".join(self._out))
                    self._out.clear()
                sent = self._socket.send(self._rest)
                self.gone += sent
                self._rest = self._rest[sent:]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError as error:
            self.trouble = f"the connection broke ({type(error).__name__})"

    def waiting(self) -> bool:
        """Whether TLS has not taken everything yet."""
        return bool(self._rest or self._out)
