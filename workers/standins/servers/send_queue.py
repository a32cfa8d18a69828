"""Answers that wait for flow control: a server may send only as much as its client allows."""

from collections import deque

from h2.connection import H2Connection
from h2.exceptions import StreamClosedError

from workers.standins.providers.exchange import Answer


class SendQueue:
    """Writes answers to a connection, in order, as the windows allow (RFC 9113, section 5.2)."""

    def __init__(self, http: H2Connection) -> None:
        self._http = http
        self._bodies: deque[tuple[int, bytes]] = deque()
        self._ended: list[int] = []

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, stream_id: int, answer: Answer) -> None:
        """Send the answer's headers now, and its body as soon as the windows allow."""
        headers = [(":status", str(answer.status)), *answer.headers]
        headers.append(("content-length", str(len(answer.body))))
        try:
            self._http.send_headers(stream_id, headers, end_stream=not answer.body)
        except StreamClosedError:
            return
        if answer.body:
            self._bodies.append((stream_id, answer.body))
            self.send()
        else:
            self._ended.append(stream_id)

    def pop_ended(self) -> list[int]:
        """Return the streams whose answers have been sent completely since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def send(self) -> None:
        """Send what the windows allow."""
        while self._bodies:
            stream_id, body = self._bodies[0]
            try:
                size = self._http.local_flow_control_window(stream_id)
                size = min(size, self._http.max_outbound_frame_size)
                if size <= 0:
                    return
                self._http.send_data(stream_id, body[:size], end_stream=len(body) <= size)
            except StreamClosedError:
                self._bodies.popleft()
                continue
            if len(body) <= size:
                self._bodies.popleft()
                self._ended.append(stream_id)
            else:
                self._bodies[0] = (stream_id, body[size:])
