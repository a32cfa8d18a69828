"""One stranger who sends the worst that we know of, from a process of its own.

Its process gives way to others: a stranger computes on a machine of their own.
"""

import itertools
import json
import multiprocessing
import os
import secrets
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

CONNECTIONS = 64
STOPPED = 8
"""Connections of these that send the beginning of a body and stop."""
KIB = 1024
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FROM_OUTSIDE = {"X-Forwarded-For": "203.0.113.7"}
"""Without it the limits by address would spare a caller on this machine."""
MANY_MEMBERS, FEW_MEMBERS = 355_000, 2_400
STOPPED_BODY = b"POST /api/receipts HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{"


@cache
def body_of(members: int) -> bytes:
    """Return an object of so many members, made once and only where it is sent."""
    return json.dumps({f"m{n}": 1 for n in range(members)}).encode()


def forged_key() -> dict[str, str]:
    """Headers with a key that looks like one of ours."""
    return {"Authorization": f"Bearer nzp_{secrets.token_urlsafe(32)}"}


@dataclass(frozen=True)
class Request:
    """One request of the stranger's."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def get(path: str, **headers: str) -> Request:
    return Request("GET", path, None, headers)


def post(path: str, body: bytes, headers: Mapping[str, str] = JSON) -> Request:
    return Request("POST", path, body, headers)


def word() -> str:
    return secrets.token_hex(8)


GUESS = b"email=x%40y.example&password=guess"
WORST: tuple[Callable[[], Request], ...] = (
    lambda: post("/api/receipts", body_of(MANY_MEMBERS)),
    lambda: post("/api/receipts", body_of(FEW_MEMBERS)),
    lambda: post("/api/readers", b"[" * 60 * KIB),
    lambda: post("/login", b"a&" * 7 * KIB, FORM),
    lambda: post("/login", GUESS, FORM),
    lambda: post("/api/readers", b"{}"),
    lambda: get(f"/feed.xml?x={word()}"),
    lambda: get(f"/topics/{word()}?y={word()}"),
    lambda: get(f"/nothing/{word()}"),
    lambda: post("/api/hooks/nobody", b"{" + b" " * 1000 * KIB),
    lambda: get(f"/api/stories?q={word()}"),
    lambda: post("/api/stories", b"{}", JSON | forged_key()),
    lambda: get("/desk", Cookie=f"newszop_staff={word()}"),
    lambda: get("/", Cookie='tracker="' + "\\" * 31_000 + '"'),
    lambda: get("/openapi.json"),
    lambda: get("/metrics"),
    lambda: get("/health/ready"),
)


@contextmanager
def stranger(url: str) -> Iterator[Counter[int]]:
    """Attack during the block; the statuses are there after it, 0 for no answer."""
    context = multiprocessing.get_context("spawn")
    begun, over, statuses = context.Event(), context.Event(), context.SimpleQueue()
    process = context.Process(target=_attack, args=(url, begun, over, statuses), daemon=True)
    process.start()
    counts: Counter[int] = Counter()
    try:
        assert begun.wait(60)
        yield counts
        over.set()
        counts.update(statuses.get())
        process.join(60)
    finally:
        process.kill()


def _attack(url: str, begun, over, statuses) -> None:
    os.nice(5)
    attacks = itertools.cycle(WORST)
    address = (urlsplit(url).hostname, urlsplit(url).port)
    counts: Counter[int] = Counter()
    lock = threading.Lock()

    def call_on() -> None:
        connection = _connect(url)
        while not over.is_set():
            status = _call(connection, next(attacks)())
            with lock:
                counts[status] += 1
        connection.close()

    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as threads:
        for _ in range(STOPPED):
            connection = socket.create_connection(address, timeout=10)
            stack.enter_context(connection).sendall(STOPPED_BODY)
        calls = [threads.submit(call_on) for _ in range(CONNECTIONS - STOPPED)]
        begun.set()
        for each in calls:
            each.result()
        statuses.put(counts)


def _connect(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "http":
        return HTTPConnection(parts.netloc, timeout=30)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection(parts.netloc, timeout=30, context=context)


def _call(connection: HTTPConnection, request: Request) -> int:
    """Return the status; 0 for no answer, as where the rest of a body is not read."""
    headers = dict(request.headers) | FROM_OUTSIDE
    try:
        connection.request(request.method, request.path, request.body, headers)
        answer = connection.getresponse()
        answer.read()
    except (HTTPException, OSError):
        connection.close()
        return 0
    return answer.status
