"""Question f: calls of the API, requests per second and the slowest in a hundred."""

import http.client
import json
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from service.demo.servers import free_port
from service.store.session import transaction
from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.report import Answer, Figure
from tests.system import ROOT

CLIENTS = 8
REQUESTS_PER_CLIENT = 100
REFERENCE = "bare FastAPI, one insert"


@dataclass(frozen=True)
class Call:
    """One request; `headers` go with it."""

    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Load:
    """The result of so many clients at once."""

    per_second: float
    p99_ms: float
    dropped: int


def api(bench: BenchSystem) -> Answer:
    """Make each call from eight clients, in alternation with the minimal service."""
    bench.run_senders(1)
    topic = bench.add_followers(1000)
    tokens = [bench.system.answer("POST", "/api/readers", json={})["token"] for _ in range(CLIENTS)]
    slug = bench.system.ingest(topics=[topic], source_uri="bench:page")["slug"]
    calls = _calls(bench, topic, tokens, slug)
    loads: dict[str, list[Load]] = {}
    with _minimal_service(bench) as reference_url:
        targets = {REFERENCE: (reference_url, lambda _: Call("POST", "/insert", {}))} | {
            name: (bench.system.url, call) for name, call in calls.items()
        }
        for round_number in range(bench.repeats + 1):
            print_progress("the API" if round_number else "the API, warming up")
            for name, (url, call) in targets.items():
                load = _load(url, call)
                if round_number:
                    loads.setdefault(name, []).append(load)
    figures = [figure for name in loads for figure in _figures(name, loads)]
    title = f"The API, {CLIENTS} clients at once, one service process"
    return Answer("f", title, REFERENCE, figures)


def _figures(name: str, loads: dict[str, list[Load]]) -> list[Figure]:
    measured, reference = loads[name], loads[REFERENCE]
    rates, beside = [load.per_second for load in measured], [load.per_second for load in reference]
    slowest, limit = [load.p99_ms for load in measured], [load.p99_ms for load in reference]
    dropped = sum(load.dropped for load in measured)
    note = f"{dropped} broken off" if dropped else ""
    return [
        Figure(name, "requests/s", rates, "more", beside, note),
        Figure(name, "p99 ms", slowest, "less", limit),
    ]


def _calls(
    bench: BenchSystem, topic: str, tokens: list[str], slug: str
) -> dict[str, Callable[[int], Call]]:
    staff = (("Authorization", f"Bearer {bench.system.key}"),)
    readers = [(("Authorization", f"Bearer {token}"),) for token in tokens]

    def ingest(_: int) -> Call:
        story = {"headline": "Rain", "body": "<p>It rains.</p>", "summary": "Rain", "topics": []}
        story |= {"source_uri": secrets.token_hex(12)}
        return Call("POST", "/api/stories", story, staff)

    def register(client: int) -> Call:
        device = {"provider": "apns", "address": secrets.token_hex(32)}
        return Call("PUT", "/api/me/devices", device, readers[client])

    def follow(client: int) -> Call:
        return Call("PUT", f"/api/me/subscriptions/{topic}", {}, readers[client])

    return {
        "ingest a story": ingest,
        "register a device": register,
        "follow a topic": follow,
        "the story's page": lambda _: Call("GET", f"/stories/{slug}"),
    }


@contextmanager
def _minimal_service(bench: BenchSystem) -> Iterator[str]:
    with transaction(bench.system.engine) as session:
        session.execute(
            text("CREATE TABLE IF NOT EXISTS bench_bare (id bigserial PRIMARY KEY, at timestamptz)")
        )
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "--http", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "tests.bench.minimal_service:app"]
    environment = bench.system.environment
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        bench.system.await_true(lambda: _answers(url), "the minimal service answers")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.post(f"{url}/insert", json={}).status_code == 201
    except httpx.TransportError:
        return False


def _load(url: str, call: Callable[[int], Call]) -> Load:
    times: list[float] = []
    refused: list[str] = []
    clients = [
        threading.Thread(target=_client, args=(url, call, n, times, refused))
        for n in range(CLIENTS)
    ]
    start = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.perf_counter() - start
    if refused:
        raise RuntimeError(f"{len(refused)} calls were refused: {refused[0]}")
    p99 = statistics.quantiles(times, n=100)[98] * 1000
    return Load(len(times) / seconds, p99, CLIENTS * REQUESTS_PER_CLIENT - len(times))


def _client(
    url: str, call: Callable[[int], Call], number: int, times: list[float], refused: list[str]
) -> None:
    """Repeat a call on one connection; the thread spends its time waiting."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    for _ in range(REQUESTS_PER_CLIENT):
        request = call(number)
        body = None if request.body is None else json.dumps(request.body)
        headers = dict(request.headers) | ({"Content-Type": "application/json"} if body else {})
        start = time.perf_counter()
        try:
            connection.request(request.method, request.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again; this one does not count
            continue
        times.append(time.perf_counter() - start)
        if answer.status >= 300:
            refused.append(f"{request.method} {request.path}: {answer.status} {content[:300]!r}")
    connection.close()
