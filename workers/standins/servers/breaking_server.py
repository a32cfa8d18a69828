"""Rough weather: a small HTTP/2 server that can break connections as granian cannot.

It serves the same stand-ins, over TLS and HTTP/2 alone, and slower by an order of magnitude. It
resets and refuses streams, cuts and half-closes connections, sends GOAWAY in the midst of things
and bears only as many streams as it announced.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from workers.standins.providers.exchange import Answer, Fate, Request
from workers.standins.providers.standin import Standin
from workers.standins.servers.send_queue import Unsent
from workers.standins.traffic import Traffic
from workers.standins.weather import Roughness

STREAMS = 1000
MOST_BODY = 1_048_576
GOODBYE = b'{"reason":"Shutdown"}'
RESETS = {
    Fate.RESET: ErrorCodes.INTERNAL_ERROR,
    Fate.REFUSED_STREAM: ErrorCodes.REFUSED_STREAM,
}


class Tolerant(H2Connection):
    """An HTTP/2 connection that leaves the limit of streams to whoever uses it.

    The library answers one stream too many by ending the connection; providers refuse the stream.
    """

    @property
    def open_inbound_streams(self) -> int:
        """Return none, so that the library finds no limit passed."""
        _ = super().open_inbound_streams  # which also forgets the streams that are closed
        return 0


@dataclass(slots=True)
class Stream:
    """A request on its way in."""

    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    answered: bool = False


class Connection(asyncio.Protocol):
    """One client's connection, and what the weather does to it."""

    def __init__(
        self,
        standin: Standin,
        traffic: Traffic,
        roughness: Roughness,
        all_connections: set["Connection"],
    ) -> None:
        self._standin = standin
        self._traffic = traffic
        self._roughness = roughness
        self._all = all_connections
        self._streams: dict[int, Stream] = {}
        self._requests = 0
        self._newest = 0
        self._last_taken: int | None = None
        self._silent = False
        self._most = min(standin.first_streams or STREAMS, roughness.streams or STREAMS)
        self._http = Tolerant(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._unsent = Unsent(self._http)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with our settings."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TLS gives no other kind
        self._transport = transport
        self._all.add(self)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            transport.close()
            return
        self._http.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = self._most
        self._http.local_settings.acknowledge()
        self._http.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's shape
        """Forget the connection and all that was open on it."""
        self._all.discard(self)
        self._silent = True
        self._streams.clear()

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent, and answer what is whole."""
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
                self._take(event)
        self._flush()

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(number), headers=headers):
                self._open(number, [(str(name), str(value)) for name, value in headers or ()])
            case DataReceived(stream_id=int(number), data=data, flow_controlled_length=int(size)):
                self._collect(number, data or b"", size)
            case StreamEnded(stream_id=int(number)) if number in self._streams:
                self._judge(number, self._streams[number])
            case StreamReset(stream_id=int(number)):
                self._streams.pop(number, None)
            case _:
                self._unsent.push()

    def _open(self, number: int, headers: list[tuple[str, str]]) -> None:
        """Begin a stream, unless it is one too many or comes after our GOAWAY."""
        if self._last_taken is not None and number > self._last_taken:
            return
        if len(self._streams) >= self._most:
            self._traffic.note(self._standin.name, Fate.REFUSED_STREAM)
            self._http.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            return
        self._newest = number
        self._streams[number] = Stream(headers)

    def _collect(self, number: int, data: bytes, size: int) -> None:
        self._http.acknowledge_received_data(size, number)
        stream = self._streams.get(number)
        if stream is not None and len(stream.body) <= MOST_BODY:
            stream.body += data

    def _judge(self, number: int, stream: Stream) -> None:
        """Answer a whole request, or do to it what the weather says."""
        self._requests += 1
        rough = self._roughness
        if rough.half_close is not None and self._requests > rough.half_close:
            self._half_close()
            return
        answer = self._standin.answer(read(stream))
        self._traffic.note(self._standin.name, answer.fate or answer.status)
        self._open_up(answer)
        if answer.delay:
            asyncio.get_running_loop().call_later(answer.delay, self._late, number, answer)
        else:
            self._give(number, answer)
        if rough.goaway is not None and self._requests == rough.goaway:
            self._go_away()

    def _late(self, number: int, answer: Answer) -> None:
        if not self._silent and number in self._streams:
            self._give(number, answer)
            self._flush()

    def _give(self, number: int, answer: Answer) -> None:
        if answer.fate is Fate.HANG:
            return
        if answer.fate is Fate.DISCONNECT:
            self._cut()
            return
        if answer.fate in RESETS:
            self._http.reset_stream(number, RESETS[answer.fate])
        else:
            self._unsent.add(number, answer)
        del self._streams[number]
        self._end_if_done()

    def _open_up(self, answer: Answer) -> None:
        """Announce the full number of streams once a credential has been found good."""
        most = self._roughness.streams or STREAMS
        if self._most < most and answer.status not in (401, 403):
            self._most = most
            self._http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: most})

    def _go_away(self) -> None:
        """Say that nothing after the newest stream will be looked at; finish the others.

        The frame is written by hand: the library ends its connection with it.
        """
        self._last_taken = self._newest
        frame = GoAwayFrame(0, last_stream_id=self._newest, additional_data=GOODBYE)
        self._flush()
        self._transport.write(frame.serialize())
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._last_taken is not None and not self._streams and not self._unsent:
            self._flush()
            self._transport.close()
            self._silent = True

    def _half_close(self) -> None:
        """Close our side of the connection and read on in silence."""
        self._flush()
        self._silent = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        """Cut the connection so that the client sees it reset."""
        self._silent = True
        with contextlib.suppress(OSError):
            at_once = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self._transport.abort()

    @property
    def _socket(self) -> socket.socket:
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    def retire(self) -> None:
        """Let the client go in good order."""
        if self._silent:
            self._transport.abort()
        elif self._last_taken is None:
            self._go_away()

    def _flush(self) -> None:
        data = self._http.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


def read(stream: Stream) -> Request:
    """Return the request that came in on a stream."""
    pseudo = {name: value for name, value in stream.headers if name.startswith(":")}
    plain = [(name, value) for name, value in stream.headers if not name.startswith(":")]
    headers = dict(plain)
    path = pseudo.get(":path", "").partition("?")[0]
    doubled = len(headers) != len(plain)
    return Request(pseudo.get(":method", ""), path, headers, bytes(stream.body), doubled)


class Running:
    """A rough server that is up."""

    def __init__(self, server: asyncio.Server, connections: set[Connection]) -> None:
        self._server = server
        self._connections = connections

    async def stop(self) -> None:
        """Take the listening socket away and tell the connections to go."""
        self._server.close()
        for connection in list(self._connections):
            connection.retire()


async def serve(
    standin: Standin, traffic: Traffic, port: int, certificates: Path, roughness: Roughness
) -> Running:
    """Serve a stand-in on the port, with connections as rough as told, until stopped."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.set_alpn_protocols(["h2"])
    connections: set[Connection] = set()
    make: Callable[[], Any] = lambda: Connection(standin, traffic, roughness, connections)  # noqa: E731
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        make, "127.0.0.1", port, ssl=context, backlog=1024, reuse_address=True
    )
    return Running(server, connections)
