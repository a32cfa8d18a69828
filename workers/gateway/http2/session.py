"""An HTTP/2 connection on its socket: what the gateway drives turn by turn."""

import structlog

from workers.gateway.http2.connection import Http2Connection
from workers.gateway.http2.events import Answers
from workers.gateway.http2.liveness import Liveness, Next
from workers.gateway.http2.tls_transport import TlsTransport
from workers.provider import Request

log = structlog.get_logger()


class Http2Session:
    """One connection and its transport. It closes itself when it fails, or has drained."""

    def __init__(
        self, connection: Http2Connection, transport: TlsTransport, liveness: Liveness
    ) -> None:
        self.connection = connection
        self.transport = transport
        self.liveness = liveness
        self._failure = ""

    def turn(self, now: float, answers: Answers) -> None:
        """Read what has come and end what is overdue, adding the answers to `answers`."""
        connection = self.connection
        parts: list[bytes] = []
        try:
            # Also where writing has failed: a server that ends a connection answers first, and
            # what it sent is still there to be read.
            self.transport.read(parts)
        except OSError as error:
            self._fail(error)
        if parts:
            self.liveness.hear(now)
            self._receive(b"".join(parts), answers)
        if not self._failure and connection.failure is None:
            connection.expire(now, answers)
            self._judge_silence(now)
        self._end(answers)

    def _receive(self, data: bytes, answers: Answers) -> None:
        """Read what has come; where a fault of ours meets it, that ends this connection alone."""
        fault = ""
        try:
            self.connection.receive(data, answers)
        except Exception as error:  # noqa: BLE001 - whatever a server sends, the others go on
            fault = type(error).__name__
        if fault:
            log.error("connection not read", error=fault)
            self._failure = f"the connection could not be read ({fault})"

    def _end(self, answers: Answers) -> None:
        """Close what has failed, or has drained."""
        connection = self.connection
        if connection.failure is not None:
            self._failure = f"the connection broke: {connection.failure.reason}"
        if self._failure:
            answers += connection.lose(self._failure, self.transport.offered_bytes)
            self.transport.close(connection.failure.goaway if connection.failure else b"")
        elif connection.draining and not connection.streams:
            self.close()

    def _judge_silence(self, now: float) -> None:
        following = self.liveness.judge(now, busy=bool(self.connection.streams))
        if following is Next.PING:
            self.ping(now)
        elif following is Next.GIVE_UP:
            self._failure = "the connection is deaf: nothing comes back, not even to a PING"

    def ping(self, now: float) -> None:
        """Ask the other side for a sign of life; new requests wait for it."""
        self.liveness.note_ping(now)
        self.connection.ping()

    def flush(self) -> None:
        """Send what was written, as far as TLS takes it; what breaks shows in the next turn."""
        try:
            self.transport.write(self.connection.data_to_send())
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._failure = f"the connection broke ({type(error).__name__})"

    def cancel_all(self, now: float) -> list[Request]:
        """Cancel every request; returns them. Where nothing was heard, the next wait for a sign."""
        requests = self.connection.cancel_all()
        if requests and self.liveness.was_silent():
            self.ping(now)
        self.flush()
        return requests

    def close(self) -> None:
        """Send what was written, and close the socket."""
        self.connection.drain()
        self.flush()
        self.transport.close()
