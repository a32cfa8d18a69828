"""A TLS server on the `h2` library that misbehaves as its request's path asks, and counts.

/answer/<status>        that status with a JSON body that repeats the path and the body's size
/slow/<seconds>         200 after a while
/hang                   no answer, ever
/refuse                 RST_STREAM with REFUSED_STREAM, after the body was read
/reset/<code>           RST_STREAM with another code, after the body was read
/goaway/before          GOAWAY that names the stream before this one as the last, then goes on
/goaway/after           GOAWAY that includes this one, then nothing, and the connection closes
/cut                    the connection is closed after the body was read
/abort                  the connection is reset (RST) after the body was read
/huge/<bytes>           200 with that much body; /huge-unannounced/<bytes> without a length
/broken                 200, a promise of 100 bytes, ten bytes, and then RST_STREAM
/moved                  307 to /answer/200
/headers                200 with the request's headers as JSON

`deafen` lets every connection there is go deaf: it stays open, and nothing comes back.
"""

import heapq
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack


@dataclass
class Stream:
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)

    @property
    def path(self) -> str:
        return self.headers[":path"]


@dataclass
class Seen:
    """What the server has seen, whole requests only."""

    requests: list[tuple[str, bytes]] = field(default_factory=list)
    connections: int = 0
    most_streams: int = 0
    """At once on one connection; `most_at_once` on all."""
    most_at_once: int = 0
    begun: int = 0

    def times(self) -> Counter[tuple[str, bytes]]:
        return Counter(self.requests)


class H2Server:
    """Listens on a free port of 127.0.0.1 until it is closed."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        streams: int | None = 1000,
        streams_before_answer: int | None = None,
        latency: float = 0.0,
        window: int | None = None,
        remembers: bool = False,
        requests_per_connection: int | None = None,
    ) -> None:
        self.seen = Seen()
        self.streams = streams
        self.streams_before_answer = streams_before_answer
        self.latency = latency
        self.window = window
        """How much of a body it takes at a time."""
        self.remembers = remembers
        """Whether it uses its header table although it was told not to."""
        self.requests_per_connection = requests_per_connection
        """After how many requests it answers, says GOAWAY and closes with all unread."""
        self.closed = threading.Event()
        self.lock = threading.Lock()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._tls.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.open: set[Connection] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            secured = self._tls.wrap_socket(raw, server_side=True)
        except OSError:
            raw.close()
            return
        with self.lock:
            self.seen.connections += 1
        connection = Connection(self, secured)
        self.open.add(connection)
        try:
            connection.run()
        except (OSError, ValueError):  # closed under our hands
            pass
        finally:
            self.open.discard(connection)
            with suppress(OSError):
                secured.close()

    def close_connections(self) -> None:
        for connection in list(self.open):
            connection.close()

    def deafen(self) -> None:
        for connection in list(self.open):
            connection.deaf = True

    def close(self) -> None:
        self.closed.set()
        self._listener.close()
        self.close_connections()


class Connection:
    """One client's connection, in a thread of its own: TLS is not for two at a time."""

    def __init__(self, server: H2Server, sock: ssl.SSLSocket) -> None:
        self.server = server
        self.sock = sock
        self.streams: dict[int, Stream] = {}
        self.answered_any = False
        self.deaf = False
        self.taken = 0
        self.highest = 0
        self.last: int | None = None
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.timers_set = 0
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)

    def run(self) -> None:
        server = self.server
        limit = server.streams
        if server.streams_before_answer is not None:
            limit = server.streams_before_answer
        self.h2.initiate_connection()
        if limit is not None:
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: limit})
        if server.window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: server.window})
        self.flush()
        while self.wait():
            if self.deaf:
                self.server.closed.wait(60)
                return
            if not (data := self.sock.recv(65536)):
                return
            for event in self.h2.receive_data(data):
                self.take(event)
            self.flush()

    def wait(self) -> bool:
        """Run what is due until there is something to read."""
        while not self.sock.pending():
            now = time.monotonic()
            while self.timers and self.timers[0][0] <= now:
                with suppress(h2.exceptions.ProtocolError):
                    heapq.heappop(self.timers)[2]()
            self.flush()
            wait = max(self.timers[0][0] - time.monotonic(), 0) if self.timers else 30
            if select.select([self.sock], [], [], wait)[0]:
                return True
            if not self.timers:
                return False
        return True

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.timers_set += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.timers_set, what))

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.sock.sendall(data)

    def take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged() if self.server.remembers:
                self.h2.encoder = hpack.Encoder()
            case h2.events.RequestReceived() if self.last is not None:
                pass  # what comes after a GOAWAY is not even looked at
            case h2.events.RequestReceived():
                self.highest = event.stream_id
                self.streams[event.stream_id] = Stream(dict(event.headers))
                with self.server.lock:
                    self.server.seen.begun += 1
                    most = max(self.server.seen.most_streams, len(self.streams))
                    self.server.seen.most_streams = most
                    at_once = sum(len(each.streams) for each in list(self.server.open))
                    self.server.seen.most_at_once = max(self.server.seen.most_at_once, at_once)
            case h2.events.DataReceived():
                if event.stream_id in self.streams:
                    self.streams[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.ended(event.stream_id)
            case h2.events.StreamReset():
                self.streams.pop(event.stream_id, None)

    def ended(self, number: int) -> None:
        if number not in self.streams or self.last is not None:
            return
        stream = self.streams[number]
        with self.server.lock:
            self.server.seen.requests.append((stream.path, bytes(stream.body)))
        self.taken += 1
        if self.taken == self.server.requests_per_connection:
            self.act(number, stream)
            self.goaway(number, taken=True)
            self.abort()
        elif self.server.latency:
            self.later(self.server.latency, lambda: self.act(number, stream))
        else:
            self.act(number, stream)

    def act(self, number: int, stream: Stream) -> None:  # noqa: C901, PLR0912 - a table
        _, what, *rest = stream.path.split("/")
        argument = rest[0] if rest else ""
        match what:
            case "answer":
                body = json.dumps({"path": stream.path, "size": len(stream.body)}).encode()
                self.answer(number, int(argument), body)
            case "slow":
                self.later(float(argument), lambda: self.answer(number, 200, b"{}"))
            case "hang":
                pass
            case "headers":
                self.answer(number, 200, json.dumps(stream.headers).encode())
            case "moved":
                self.answer(number, 307, b"", location="/answer/200")
            case "refuse":
                self.reset(number, 7)
            case "reset":
                self.reset(number, int(argument))
            case "goaway":
                self.goaway(number, taken=argument == "after")
            case "cut":
                self.close()
            case "abort":
                self.abort()
            case "huge":
                self.huge(number, int(argument), announced=True)
            case "huge-unannounced":
                self.huge(number, int(argument), announced=False)
            case "broken":
                self.h2.send_headers(number, [(":status", "200"), ("content-length", "100")])
                self.h2.send_data(number, b"ten bytes!")
                self.flush()
                self.later(0.05, lambda: self.reset(number, 2))

    def answer(self, number: int, status: int, body: bytes, **headers: str) -> None:
        if number not in self.streams:
            return
        del self.streams[number]
        if not self.answered_any and self.server.streams_before_answer is not None:
            most = self.server.streams or 1000
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: most})
        self.answered_any = True
        lines = [(":status", str(status)), ("content-type", "application/json"), *headers.items()]
        self.h2.send_headers(number, lines)
        self.h2.send_data(number, body, end_stream=True)

    def reset(self, number: int, code: int) -> None:
        self.streams.pop(number, None)
        self.h2.reset_stream(number, code)

    def goaway(self, number: int, *, taken: bool) -> None:
        last = number if self.taken == self.server.requests_per_connection else self.highest
        last = last if taken else number - 2
        self.last = last
        if not taken:
            self.disown(last)
        frame = struct.pack(">I", 8)[1:] + b"\x07\x00" + struct.pack(">III", 0, max(last, 0), 0)
        self.flush()
        self.sock.sendall(frame)
        if taken:
            self.later(0.2, self.close)

    def disown(self, last: int) -> None:
        """Do nothing for the streams after the last one, as the GOAWAY says."""
        with self.server.lock:
            for stream in [self.streams.pop(each) for each in list(self.streams) if each > last]:
                with suppress(ValueError):
                    self.server.seen.requests.remove((stream.path, bytes(stream.body)))

    def huge(self, number: int, size: int, *, announced: bool) -> None:
        del self.streams[number]
        length = [("content-length", str(size))] if announced else []
        self.h2.send_headers(number, [(":status", "200"), *length])
        sent = 0
        while sent < size:
            part = min(16_000, size - sent, self.h2.local_flow_control_window(number))
            if part <= 0:
                self.flush()
                return
            sent += part
            self.h2.send_data(number, b"x" * part, end_stream=sent >= size)
            self.flush()

    def close(self) -> None:
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.005)
