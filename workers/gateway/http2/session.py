"""An HTTP/2 connection on its socket: what the gateway drives turn by turn."""

from workers.gateway.http2.connection import Http2Connection
from workers.gateway.http2.events import Event
from workers.gateway.http2.tls_transport import TlsTransport
from workers.provider import Answer, Request

Answers = list[tuple[Request, Answer]]


class Http2Session:
    """One connection and its transport. It closes itself when it fails, or has drained."""

    def __init__(self, connection: Http2Connection, transport: TlsTransport) -> None:
        self.connection = connection
        self.transport = transport
        self._failure = ""
        self._goaway = b""

    def turn(self, now: float, answers: Answers) -> None:
        """Read what has come and end what is overdue, adding the answers to `answers`."""
        connection = self.connection
        try:
            for data in self.transport.read():
                self._report(connection.receive(data), answers)
                if self._failure:
                    break
        except OSError as error:
            self._fail(error)
        if not self._failure:
            self._report(connection.expire(now), answers)
        if self._failure:
            answers += connection.lose(self._failure, self.transport.offered)
            self.transport.close(self._goaway)
        elif connection.draining and not connection.streams:
            self.close()

    def _report(self, events: list[Event], answers: Answers) -> None:
        for event in events:
            if isinstance(event, tuple):
                answers.append(event)
            else:
                self._failure = f"the connection broke: {event.reason}"
                self._goaway = event.goaway

    def flush(self) -> None:
        """Send what was written, as far as TLS takes it; what breaks shows in the next turn."""
        try:
            self.transport.write(self.connection.data_to_send())
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._failure = f"the connection broke ({type(error).__name__})"

    def cancel_all(self) -> list[Request]:
        """Cancel every request; returns them."""
        requests = self.connection.cancel_all()
        self.flush()
        return requests

    def close(self) -> None:
        """Send what was written, and close the socket."""
        self.connection.drain()
        self.flush()
        self.transport.close()
