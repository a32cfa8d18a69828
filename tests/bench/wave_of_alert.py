"""Question i, its second part: an alert while its readers come back, and the newsroom beside them.

Answers of the providers take 80 ms. Of the devices 30 % report the push as shown, and 5 % open it:
each opens the story's page, reads its reader, renews its device and reports the push as opened.
"""

import random
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from service.domain import receipt
from service.store.session import transaction
from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.machine import usage
from tests.bench.report import Figure
from tests.bench.wave_calls import Request, WaveData, request
from tests.bench.wave_peer import Load, load

LATENCY_MS = 80
SHOWN, OPENED = 0.3, 0.05
WITHIN_S = 30.0
CONNECTIONS = 16
"""Of each kind of call."""
PAGES_PER_SECOND = 200.0
PAGES = 2_000
SENDINGS = 20
PAUSE_S = 1.0
READ_WITHIN_S = 10.0


@dataclass
class Beside:
    """Seconds that calls of the newsroom and of the health checks took."""

    sendings: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def figures_of_alert(bench: BenchSystem, data: WaveData, client: Path) -> list[Figure]:
    """Send an alert alone, and one while its readers come back."""
    bench.run_senders(1)
    devices = max(bench.sizes)
    topic = bench.add_followers(devices)
    bench.send_alert(bench.add_followers(1000))
    idle = _newsroom_at_rest(bench)
    with bench.answer_latency(LATENCY_MS):
        print_progress(f"an alert to {devices:,} alone")
        alone = _rate(bench.send_alert(topic))
        print_progress(f"an alert to {devices:,} with what it brings back")
        alert = bench.start_alert(topic)
        with _newsroom(bench) as beside:
            loads = _come_back(bench, data, client, int(alert["id"]), devices)
        rate = _rate(bench.wait_for_end(alert))
    bench.system.control.delete("/control/pushes").raise_for_status()
    return [
        Figure("an alert while its readers come back", "pushes/s", [rate], "more", [alone]),
        *_figures_of_calls(loads),
        _lost(bench, alert, loads),
        Figure(
            "Send Push beside it, median",
            "ms",
            [1000 * statistics.median(beside.sendings)],
            beside=[1000 * statistics.median(idle.sendings)],
            note="to its time at rest",
        ),
        Figure("/health/live, /health/ready, slowest", "ms", [1000 * max(beside.checks)]),
        Figure("calls of the newsroom that failed", "", [float(len(beside.failures))]),
    ]


def _rate(report: dict[str, Any]) -> float:
    return float(report["totals"]["planned"] / max(report["timing"]["last_ms"], 1) * 1000)


def _come_back(
    bench: BenchSystem, data: WaveData, client: Path, alert_id: int, devices: int
) -> dict[str, Load]:
    places = _places(bench, alert_id)
    random.shuffle(places)
    shown, opened = places[: round(SHOWN * len(places))], places[: round(OPENED * len(places))]
    calls = {
        "shown": [_receipt(data, alert_id, place, "shown") for place in shown],
        "opened": [_receipt(data, alert_id, place, "opened") for place in opened],
        "GET /api/me": data.me(len(opened)),
        "renewal": data.renewals(len(opened)),
        "the story's page": [request("GET", f"/stories/{data.slug}") for _ in opened],
    }
    host = urlsplit(bench.system.url).netloc
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = {
            name: pool.submit(load, client, host, part, CONNECTIONS, len(part) / WITHIN_S)
            for name, part in calls.items()
        }
    return {name: future.result() for name, future in futures.items()}


def _places(bench: BenchSystem, alert_id: int) -> list[tuple[int, int, int]]:
    """Return shard, batch and position of each delivery, once all shards are packed."""
    until = time.monotonic() + READ_WITHIN_S + max(bench.sizes) / 10_000
    packed = text(
        "SELECT started_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM shard "
        "WHERE alert_id = alert.id AND NOT done) FROM alert WHERE id = :a"
    )
    rows = text("SELECT shard_n, n, length(states) FROM batch WHERE alert_id = :a")
    while time.monotonic() < until:
        with transaction(bench.system.engine) as session:
            if session.execute(packed, {"a": alert_id}).scalar_one():
                return [
                    (shard, n, position)
                    for shard, n, length in session.execute(rows, {"a": alert_id})
                    for position in range(length)
                ]
        time.sleep(0.1)
    raise RuntimeError("the alert's shards are not packed")


def _receipt(data: WaveData, alert_id: int, place: tuple[int, int, int], kind: str) -> Request:
    body = {"receipt": receipt.sign(data.secret, alert_id, *place), "kind": kind}
    return request("POST", "/api/receipts", body)


def _figures_of_calls(loads: dict[str, Load]) -> list[Figure]:
    figures = []
    for name, one in loads.items():
        taken = sum(n for status, n in one.statuses.items() if status.startswith("2"))
        refused = sum(one.statuses.values()) - taken
        note = f"{taken:,} taken, {refused:,} refused, {one.broken:,} broken off"
        figures += [
            Figure(f"{name}: taken", "calls/s", [one.per_second], "more", note=note),
            Figure(f"{name}: p50", "ms", [one.p50_ms]),
            Figure(f"{name}: p99", "ms", [one.p99_ms]),
        ]
    return figures


def _lost(bench: BenchSystem, alert: dict[str, Any], loads: dict[str, Load]) -> Figure:
    """Return how many answered receipts are missing, or count twice; each was sent once.

    One that was broken off may have been counted or not.
    """
    counts = bench.system.alert(alert)["receipts"]
    wrong = 0
    for kind in ("shown", "opened"):
        taken = sum(n for status, n in loads[kind].statuses.items() if status.startswith("2"))
        wrong += max(taken - counts[kind], counts[kind] - taken - loads[kind].broken, 0)
    return Figure("receipts that are missing or count twice", "", [float(wrong)])


def _newsroom_at_rest(bench: BenchSystem) -> Beside:
    beside = Beside()
    story = bench.system.ingest(topics=["bench/nobody"], source_uri="bench:newsroom")
    for _ in range(SENDINGS):
        _send_push(bench, story, beside)
    return beside


@contextmanager
def _newsroom(bench: BenchSystem) -> Iterator[Beside]:
    """Press Send Push and ask for the health all the time."""
    beside, end = Beside(), threading.Event()
    story = bench.system.ingest(topics=["bench/nobody"], source_uri="bench:newsroom")

    def work() -> None:
        while not end.wait(PAUSE_S):
            _send_push(bench, story, beside)
            for path in ("/health/live", "/health/ready"):
                _call(bench, "GET", path, beside.checks, beside)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield beside
    finally:
        end.set()
        thread.join(60)


def _send_push(bench: BenchSystem, story: dict[str, Any], beside: Beside) -> None:
    path = f"/api/stories/{story['id']}/alerts"
    _call(bench, "POST", path, beside.sendings, beside, json={"dry_run": True})


def _call(
    bench: BenchSystem, method: str, path: str, times: list[float], beside: Beside, **body: Any
) -> None:
    begin = time.monotonic()
    try:
        answer = bench.system.api.request(method, path, **body)
        if not answer.is_success:
            beside.failures.append(f"{path}: {answer.status_code}")
    except httpx.HTTPError as error:
        beside.failures.append(f"{path}: {error!r}")
    times.append(time.monotonic() - begin)


def figures_of_page(bench: BenchSystem, data: WaveData, client: Path) -> list[Figure]:
    """Open a story under an address of its own each time, beside the plain address, in turns."""
    host = urlsplit(bench.system.url).netloc
    paths = {
        "plain": lambda _: f"/stories/{data.slug}",
        "unique": lambda n: f"/stories/{data.slug}?fbclid={n}x{random.getrandbits(64)}",
    }
    cpu_us: dict[str, list[float]] = {name: [] for name in paths}
    p50_ms: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(bench.repeats):
        for name, path in paths.items():
            requests = [request("GET", path(n)) for n in range(PAGES)]
            before = usage()
            loaded = load(client, host, requests, CONNECTIONS, PAGES_PER_SECOND)
            cpu_us[name].append(usage().since(before)["service"] / PAGES * 1e6)
            p50_ms[name].append(loaded.p50_ms)
    what = f"a story's page, a query of its own each, {PAGES_PER_SECOND:.0f}/s"
    note = "to the plain address"
    return [
        Figure(what, "CPU us", cpu_us["unique"], beside=cpu_us["plain"], note=note),
        Figure(what, "p50 ms", p50_ms["unique"], beside=p50_ms["plain"], note=note),
    ]
