"""One stranger who sends the worst that we know of, from a process of its own.

Its process gives way to others: a stranger computes on a machine of their own.
"""

import itertools
import json
import multiprocessing
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from urllib.parse import urlsplit

import httpx

CONNECTIONS = 64
STOPPED = 8
"""Connections of these that send the beginning of a body and stop."""
KIB = 1024
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FROM_OUTSIDE = {"X-Forwarded-For": "203.0.113.7"}
"""Without it the limits by address would spare a caller on this machine."""
MANY_MEMBERS, FEW_MEMBERS = 355_000, 3_900
STOPPED_BODY = b"POST /api/receipts HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{"


@cache
def body_of(members: int) -> bytes:
    """Return an object of so many members, made once and only where it is sent."""
    return json.dumps({f"m{n}": 1 for n in range(members)}).encode()


def forged_key() -> dict[str, str]:
    """Headers with a key that looks like one of ours."""
    return {"Authorization": f"Bearer nzp_{secrets.token_urlsafe(32)}"}


Attack = Callable[[httpx.Client], httpx.Response]
WORST: tuple[Attack, ...] = (
    lambda client: client.post("/api/receipts", content=body_of(MANY_MEMBERS), headers=JSON),
    lambda client: client.post("/api/receipts", content=body_of(FEW_MEMBERS), headers=JSON),
    lambda client: client.post("/api/readers", content=b"[" * 60 * KIB, headers=JSON),
    lambda client: client.post("/login", content=b"a&" * 7 * KIB, headers=FORM),
    lambda client: client.post("/login", data={"email": "x@y.example", "password": "guess"}),
    lambda client: client.post("/api/readers", json={}),
    lambda client: client.get(f"/feed.xml?x={secrets.token_hex(8)}"),
    lambda client: client.get(f"/topics/{secrets.token_hex(8)}?y={secrets.token_hex(8)}"),
    lambda client: client.post("/api/hooks/nobody", content=b"{" + b" " * 1000 * KIB),
    lambda client: client.get("/api/stories", params={"q": secrets.token_hex(8)}),
    lambda client: client.post("/api/stories", json={}, headers=forged_key()),
    lambda client: client.get("/metrics"),
    lambda client: client.get("/health/ready"),
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
        with httpx.Client(base_url=url, timeout=30, headers=FROM_OUTSIDE, verify=False) as client:
            while not over.is_set():
                try:
                    status = next(attacks)(client).status_code
                except httpx.HTTPError:
                    status = 0
                with lock:
                    counts[status] += 1

    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as threads:
        for _ in range(STOPPED):
            connection = socket.create_connection(address, timeout=10)
            stack.enter_context(connection).sendall(STOPPED_BODY)
        calls = [threads.submit(call_on) for _ in range(CONNECTIONS - STOPPED)]
        while counts.total() < CONNECTIONS:
            time.sleep(0.05)
        begun.set()
        for each in calls:
            each.result()
        statuses.put(counts)
