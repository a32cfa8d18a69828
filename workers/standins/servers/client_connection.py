"""One client's HTTP/2 connection to the breaking server, and the faults it meets."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field, replace

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame, WindowUpdateFrame

from workers.standins.misbehaviour.faults import ConnectionFaults
from workers.standins.providers.exchange import Answer, Request, TransportFailure
from workers.standins.providers.standin import Standin
from workers.standins.servers.send_queue import SendQueue
from workers.standins.traffic import Traffic

MAX_STREAMS = 1000
MAX_BODY_BYTES = 1_048_576
GOAWAY_DATA = b'{"reason":"Shutdown"}'
RESET_CODES = {
    TransportFailure.RESET: ErrorCodes.INTERNAL_ERROR,
    TransportFailure.REFUSED_STREAM: ErrorCodes.REFUSED_STREAM,
}


class UnlimitedStreams(H2Connection):
    """An HTTP/2 connection that leaves the limit of concurrent streams to its user.

    The library answers one stream too many by ending the connection; providers refuse the stream.
    """

    @property
    def open_inbound_streams(self) -> int:
        """Return 0, so that the library never finds the limit exceeded."""
        _ = super().open_inbound_streams  # which also forgets the streams that are closed
        return 0


@dataclass(slots=True)
class IncomingStream:
    """A request that is not complete yet, or not answered yet."""

    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    is_answered: bool = False
    """Whether an early answer has been sent."""


class ClientConnection(asyncio.Protocol):
    """One client's connection. `connections` holds all that are open."""

    def __init__(
        self,
        standin: Standin,
        traffic: Traffic,
        faults: ConnectionFaults,
        connections: set["ClientConnection"],
    ) -> None:
        self._standin = standin
        self._traffic = traffic
        self._faults = faults
        self._connections = connections
        self._streams: dict[int, IncomingStream] = {}
        self._requests = 0
        self._newest_stream = 0
        self._last_accepted: int | None = None
        """The last stream id of our GOAWAY; None before it."""
        self._silent = False
        self._max_streams = min(standin.first_streams or MAX_STREAMS, faults.streams or MAX_STREAMS)
        configuration = H2Configuration(client_side=False, header_encoding="utf-8")
        self._http = UnlimitedStreams(configuration)
        self._queue = SendQueue(self._http)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings to the client."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TLS gives no other kind
        self._transport = transport
        self._connections.add(self)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            transport.close()
            return
        self._http.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = self._max_streams
        self._http.local_settings.acknowledge()
        self._http.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's shape
        """Forget the connection and its streams."""
        self._connections.discard(self)
        self._silent = True
        self._streams.clear()

    def data_received(self, data: bytes) -> None:
        """Read what the client sent, and answer the requests that are complete."""
        if self._silent:
            return
        try:
            events = self._http.receive_data(data)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            if not self._silent:
                self._handle(event)
        self._flush()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(number), headers=headers):
                self._open(number, [(str(name), str(value)) for name, value in headers or ()])
            case DataReceived(stream_id=int(number), data=data, flow_controlled_length=int(size)):
                self._collect(number, data or b"", size)
            case StreamEnded(stream_id=int(number)) if number in self._streams:
                self._answer(number, self._streams[number])
            case StreamReset(stream_id=int(number)):
                self._streams.pop(number, None)
            case _:
                self._queue.send()

    def _open(self, number: int, headers: list[tuple[str, str]]) -> None:
        """Begin a stream, unless it is one too many or comes after our GOAWAY."""
        if self._last_accepted is not None and number > self._last_accepted:
            return
        if len(self._streams) >= self._max_streams:
            self._traffic.count(self._standin.name, TransportFailure.REFUSED_STREAM)
            self._http.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            return
        self._newest_stream = number
        stream = self._streams[number] = IncomingStream(headers)
        if self._faults.early_answers:
            stream.is_answered = True
            self._queue.add(
                number, self._lengthen(self._standin.early_answer(read_request(stream)))
            )

    def _collect(self, number: int, data: bytes, size: int) -> None:
        self._http.acknowledge_received_data(size, number)
        stream = self._streams.get(number)
        if stream is not None and len(stream.body) <= MAX_BODY_BYTES:
            stream.body += data

    def _answer(self, number: int, stream: IncomingStream) -> None:
        """Answer a complete request, or let it meet the connection's faults."""
        self._requests += 1
        faults = self._faults
        if faults.half_close is not None and self._requests > faults.half_close:
            self._half_close()
            return
        answer = self._standin.answer(read_request(stream))
        self._traffic.count(self._standin.name, answer.failure or answer.status)
        self._raise_stream_limit(answer)
        if stream.is_answered:
            self._finish(number)
        elif answer.delay_s:
            asyncio.get_running_loop().call_later(answer.delay_s, self._send_late, number, answer)
        else:
            self._send(number, answer)
        if faults.goaway is not None and self._requests == faults.goaway:
            self._send_goaway()

    def _send_late(self, number: int, answer: Answer) -> None:
        if not self._silent and number in self._streams:
            self._send(number, answer)
            self._flush()

    def _send(self, number: int, answer: Answer) -> None:
        if answer.failure is TransportFailure.HANG:
            return
        if answer.failure is TransportFailure.DISCONNECT:
            self._cut()
            return
        if answer.failure in RESET_CODES:
            self._http.reset_stream(number, RESET_CODES[answer.failure])
        else:
            self._queue.add(number, self._lengthen(answer))
        self._finish(number)

    def _finish(self, number: int) -> None:
        del self._streams[number]
        self._close_when_done()

    def _lengthen(self, answer: Answer) -> Answer:
        if self._faults.long_bodies is None:
            return answer
        return replace(answer, body=answer.body + b" " * self._faults.long_bodies)

    def _raise_stream_limit(self, answer: Answer) -> None:
        """Announce the full number of streams after the first good credential."""
        maximum = self._faults.streams or MAX_STREAMS
        if self._max_streams < maximum and answer.status not in (401, 403):
            self._max_streams = maximum
            self._http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: maximum})

    def _send_goaway(self) -> None:
        """Announce that no stream after the newest will be read; answer the others.

        The frame is written by hand: the library ends its connection with it.
        """
        self._last_accepted = self._newest_stream
        frame = GoAwayFrame(0, last_stream_id=self._newest_stream, additional_data=GOAWAY_DATA)
        self._flush()
        self._transport.write(frame.serialize())
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._last_accepted is not None and not self._streams and not self._queue:
            self._flush()
            self._transport.close()
            self._silent = True

    def _half_close(self) -> None:
        """Close our side of the connection, and read on without answering."""
        self._flush()
        self._silent = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        """Cut the connection so that the client sees it reset."""
        self._silent = True
        with contextlib.suppress(OSError):
            no_linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self._transport.abort()

    @property
    def _socket(self) -> socket.socket:
        sock: socket.socket = self._transport.get_extra_info("socket")
        return sock

    def deafen(self) -> None:
        """Keep the connection open, and send nothing on it any more."""
        self._silent = True

    def retire(self) -> None:
        """End the connection, after the answers that are still due."""
        if self._silent:
            self._transport.abort()
        elif self._last_accepted is None:
            self._send_goaway()

    def _flush(self) -> None:
        data = self._http.data_to_send() + self._late_window_updates()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _late_window_updates(self) -> bytes:
        """Return a WINDOW_UPDATE for each stream that has just ended (RFC 9113, section 5.1).

        The frames are written by hand: the library sends none on a closed stream.
        """
        increment = self._faults.late_window_updates
        streams = self._queue.pop_ended()
        if increment is None:
            return b""
        return b"".join(
            WindowUpdateFrame(n, window_increment=increment).serialize() for n in streams
        )


def read_request(stream: IncomingStream) -> Request:
    """Return the request that came in on a stream."""
    pseudo = {name: value for name, value in stream.headers if name.startswith(":")}
    plain = [(name, value) for name, value in stream.headers if not name.startswith(":")]
    headers = dict(plain)
    path = pseudo.get(":path", "").partition("?")[0]
    has_duplicates = len(headers) != len(plain)
    return Request(pseudo.get(":method", ""), path, headers, bytes(stream.body), has_duplicates)
