"""An HTTP/2 connection on its socket: what the gateway drives turn by turn."""

from workers.gateway.http2.connection import Http2Connection
from workers.gateway.http2.events import Event, NotTaken
from workers.gateway.http2.liveness import Liveness, Next
from workers.gateway.http2.tls_transport import TlsTransport
from workers.provider import Answer, Request

Answers = list[tuple[Request, Answer]]


class Http2Session:
    """One connection and its transport. It closes itself when it fails, or has drained."""

    def __init__(
        self, connection: Http2Connection, transport: TlsTransport, liveness: Liveness
    ) -> None:
        self.connection = connection
        self.transport = transport
        self.liveness = liveness
        self.not_taken: list[Request] = []
        """Requests that the server has not looked at, for another connection."""
        self._failure = ""
        self._rule_broken = False
        self._goaway = b""

    def is_available(self) -> bool:
        """Whether it can take a request now."""
        return self.liveness.trusted and self.connection.available_streams() > 0

    def turn(self, now: float, answers: Answers) -> None:
        """Read what has come and end what is overdue, adding the answers to `answers`."""
        connection = self.connection
        try:
            # Also where writing has failed: a server that ends a connection answers first, and
            # what it sent is still there to be read.
            for data in self.transport.read():
                self.liveness.hear(now)
                self._report(connection.receive(data), answers)
                if self._rule_broken:
                    break
        except OSError as error:
            self._fail(error)
        if not self._failure:
            self._report(connection.expire(now), answers)
            self._judge_silence(now)
        if self._failure:
            answers += connection.lose(self._failure, self.transport.offered)
            self.transport.close(self._goaway)
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

    def _report(self, events: list[Event], answers: Answers) -> None:
        for event in events:
            if isinstance(event, tuple):
                answers.append(event)
            elif isinstance(event, NotTaken):
                self.not_taken.append(event.request)
            else:
                self._rule_broken = True
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
