"""Answers that wait for room: HTTP/2 lets a server send only as much as its client allows."""

from collections import deque

from h2.connection import H2Connection
from h2.exceptions import StreamClosedError

from workers.standins.providers.exchange import Answer


class Unsent:
    """Writes answers into a connection, in order, as the flow-control windows allow."""

    def __init__(self, http: H2Connection) -> None:
        self._http = http
        self._bodies: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, number: int, answer: Answer) -> None:
        """Send the answer's headers now and its body as soon as there is room."""
        headers = [(":status", str(answer.status)), *answer.headers]
        headers.append(("content-length", str(len(answer.body))))
        try:
            self._http.send_headers(number, headers, end_stream=not answer.body)
        except StreamClosedError:
            return
        if answer.body:
            self._bodies.append((number, answer.body))
            self.push()

    def push(self) -> None:
        """Send what there is room for."""
        while self._bodies:
            number, body = self._bodies[0]
            try:
                room = self._http.local_flow_control_window(number)
                room = min(room, self._http.max_outbound_frame_size)
                if room <= 0:
                    return
                self._http.send_data(number, body[:room], end_stream=len(body) <= room)
            except StreamClosedError:
                room = len(body)
            if len(body) <= room:
                self._bodies.popleft()
            else:
                self._bodies[0] = (number, body[room:])
