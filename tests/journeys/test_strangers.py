"""Strangers who hold connections: they cost nobody anything but their own turn."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice

import httpx

from service.http import body_deadline, server
from tests.journeys.people import People

CONNECTIONS = 1100
"""More than the 1,024 that granian holds by default."""
SOON_S = 5
"""It takes milliseconds; this leaves room for a machine that does other things."""
STOPPED_BODY = b"POST /api/receipts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
STOPPED_HEADERS = b"GET / HTTP/1.1\r\nHost: x\r\n"
FIRST_ANSWER = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
STOPS = (b"", STOPPED_HEADERS, STOPPED_BODY, FIRST_ANSWER)


@contextmanager
def strangers(port: int) -> Iterator[list[socket.socket]]:
    """Hold `CONNECTIONS` connections, each of which stops after one of `STOPS`, in turns."""
    with ExitStack() as stack:
        connections = []
        for words in islice(cycle(STOPS), CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connections.append(stack.enter_context(connection))
            connection.sendall(words)
        yield connections


def ended(connection: socket.socket) -> bool:
    """Say whether the server has closed the connection; reads what it said before."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            continue
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def test_eleven_hundred_connections_that_stop_delay_nobody_and_are_ended(system):
    people = People(system)
    people.crowd({"apns": 20})
    longest_stop = max(server.HEADERS_MS / 1000, body_deadline.PART_S)
    with strangers(system.port) as connections:
        held_since = time.monotonic()
        time.sleep(1)
        for path in ("/health/live", "/health/ready", "/"):
            begin = time.monotonic()
            assert httpx.get(system.url + path, timeout=5).status_code == 200
            assert time.monotonic() - begin < SOON_S, path
        begin = time.monotonic()
        alert = system.send(system.ingest(topics=[people.topic]))
        assert time.monotonic() - begin < SOON_S
        assert system.finished(alert)["totals"]["accepted"] == 20
        while time.monotonic() < held_since + longest_stop + 10:
            if all(ended(connection) for connection in connections):
                break
            time.sleep(0.2)
        assert all(ended(connection) for connection in connections)
