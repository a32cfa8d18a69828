"""Question f: the API's verbs, requests a second and the slowest in a hundred."""

import http.client
import json
import secrets
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from service.demo import programs
from service.demo.servers import free_port
from service.store.session import transaction
from tests.bench.report import Answer, Figure
from tests.bench.rig import Rig, tell
from tests.system import ROOT

CLIENTS = 8
EACH = 100
BARE = "bare FastAPI, one insert"


@dataclass(frozen=True)
class Call:
    """One request; `headers` go with it."""

    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Load:
    """What so many clients at once met."""

    per_second: float
    p99_ms: float
    dropped: int


def api(rig: Rig) -> Answer:
    """Call each verb from eight clients, in turns with the bare service."""
    rig.workers(1)
    topic = rig.crowd(1000)
    tokens = [rig.system.answer("POST", "/api/readers", json={})["token"] for _ in range(CLIENTS)]
    slug = rig.system.ingest(topics=[topic], source_uri="bench:page")["slug"]
    verbs = _verbs(rig, topic, tokens, slug)
    found: dict[str, list[Load]] = {}
    with _bare(rig) as url:
        everything = {BARE: (url, lambda _: Call("POST", "/insert", {}))} | {
            name: (rig.system.url, call) for name, call in verbs.items()
        }
        for turn in range(rig.repeats + 1):
            tell("the API" if turn else "the API, warming up")
            for name, (where, call) in everything.items():
                load = _load(where, call)
                if turn:
                    found.setdefault(name, []).append(load)
    figures = [figure for name in found for figure in _figures(name, found)]
    title = f"The API, {CLIENTS} clients at once, one service process"
    return Answer("f", title, BARE, figures)


def _figures(name: str, found: dict[str, list[Load]]) -> list[Figure]:
    own, bare = found[name], found[BARE]
    rates, beside = [load.per_second for load in own], [load.per_second for load in bare]
    slowest, limit = [load.p99_ms for load in own], [load.p99_ms for load in bare]
    dropped = sum(load.dropped for load in own)
    note = f"{dropped} broken off" if dropped else ""
    return [
        Figure(name, "requests/s", rates, "more", beside, note),
        Figure(name, "p99 ms", slowest, "less", limit),
    ]


def _verbs(rig: Rig, topic: str, tokens: list[str], slug: str) -> dict[str, Callable[[int], Call]]:
    staff = (("Authorization", f"Bearer {rig.system.key}"),)
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
def _bare(rig: Rig) -> Iterator[str]:
    with transaction(rig.system.engine) as session:
        session.execute(
            text("CREATE TABLE IF NOT EXISTS bench_bare (id bigserial PRIMARY KEY, at timestamptz)")
        )
    port = free_port()
    command = list(programs.service("127.0.0.1", port).command)
    command[command.index("--factory") :] = ["--no-ws", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "tests.bench.bare:app"]
    environment = rig.system.environment
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        rig.system.await_true(lambda: _answers(url), "the bare service answers")
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
    begun = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    spent = time.perf_counter() - begun
    if refused:
        raise RuntimeError(f"{len(refused)} calls were refused: {refused[0]}")
    p99 = statistics.quantiles(times, n=100)[98] * 1000
    return Load(len(times) / spent, p99, CLIENTS * EACH - len(times))


def _client(
    url: str, call: Callable[[int], Call], number: int, times: list[float], refused: list[str]
) -> None:
    """Call again and again on one connection; a thread spends its time waiting."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    for _ in range(EACH):
        made = call(number)
        body = None if made.body is None else json.dumps(made.body)
        headers = dict(made.headers) | ({"Content-Type": "application/json"} if body else {})
        begun = time.perf_counter()
        try:
            connection.request(made.method, made.path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again; this one counts as none
            continue
        times.append(time.perf_counter() - begun)
        if answer.status >= 300:
            refused.append(f"{made.method} {made.path}: {answer.status} {said[:300]!r}")
    connection.close()
