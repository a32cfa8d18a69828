"""Questions d and e: when the first push is accepted, with and without another alert."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from celery import Celery

from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.report import Answer, Figure
from tests.system import ROOT

ROUND_TRIPS = 50
MAX_FOLLOWERS = 200_000
BREAKING = 10_000
HEAD_START_S = 2.0


def first_push(bench: BenchSystem) -> Answer:
    """Measure from the 202 to the first accepted push; the reference is an empty task."""
    bench.run_senders(1)
    devices = max(size for size in bench.sizes if size <= MAX_FOLLOWERS or size == min(bench.sizes))
    topic = bench.add_followers(devices)
    with _empty_worker(bench) as app:
        trips = [_round_trip(app) for _ in range(ROUND_TRIPS)][ROUND_TRIPS // 5 :]
    bench.send_alert(bench.add_followers(1000))
    print_progress(f"from the 202 to the first push: {devices:,} devices")
    figures = [Figure("an empty Celery task", "ms", trips, beside=trips)]
    for urgency in ("normal", "breaking"):
        waits, reports = [], []
        for _ in range(bench.repeats):
            alert = bench.start_alert(topic, urgency=urgency)
            answered = time.time()
            reports.append(bench.wait_for_end(alert)["timing"])
            waits.append(_first_at(bench, alert["id"]) - answered)
            bench.system.control.delete("/control/pushes").raise_for_status()
        figures.append(
            Figure(f"{urgency}: first push", "ms", [1000 * w for w in waits], beside=trips)
        )
        for name, share in (("p50_ms", "50 %"), ("p90_ms", "90 %"), ("last_ms", "100 %")):
            figures.append(Figure(f"{urgency}: {share}", "ms", [float(r[name]) for r in reports]))
    title = f"From the answer 202 to the first accepted push, {devices:,} devices"
    return Answer("d", title, "an empty Celery task's round trip", figures)


def _first_at(bench: BenchSystem, alert_id: str) -> float:
    """Return when the alert's first push reached a stand-in."""
    item = bench.system.pushes(alert_id=alert_id, limit=1)["items"][0]
    return datetime.fromisoformat(item["at"]).timestamp()


@contextmanager
def _empty_worker(bench: BenchSystem) -> Iterator[Celery]:
    url = bench.system.servers.redis_url
    command = ("celery", "-A", "tests.bench.empty_task", "worker", "-c", "1", "-Q", "bench-empty")
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "-n", "empty@%h", "--without-gossip", "--without-mingle"],
        cwd=ROOT,
        env=dict(os.environ) | {"REDIS_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    app = Celery("empty", broker=url, backend=url, set_as_current=False)
    try:
        app.send_task("empty", queue="bench-empty").get(timeout=30)
        yield app
    finally:
        process.terminate()
        process.wait(20)
        app.close()


def _round_trip(app: Celery) -> float:
    start = time.perf_counter()
    app.send_task("empty", queue="bench-empty").get(timeout=10)
    return (time.perf_counter() - start) * 1000


def breaking(bench: BenchSystem) -> Answer:
    """Send a breaking alert while a normal one runs; the reference is the same alert alone."""
    bench.run_senders(1)
    normal = bench.add_followers(max(bench.sizes))
    urgent = bench.add_followers(min(BREAKING, *bench.sizes))
    print_progress("a breaking alert while a normal one runs")
    alone: list[dict[str, Any]] = []
    under: list[dict[str, Any]] = []
    for _ in range(bench.repeats):
        alone.append(bench.send_alert(urgent, urgency="breaking")["timing"])
        running = bench.start_alert(normal)
        time.sleep(HEAD_START_S)
        pending = bench.system.alert(running)["totals"]["pending"]
        under.append(bench.send_alert(urgent, urgency="breaking")["timing"])
        bench.wait_for_end(running)
        if not pending:
            print_progress("the normal alert was over too soon: ask for a larger size")
        bench.system.control.delete("/control/pushes").raise_for_status()
    figures = []
    for name, share in (("first_ms", "first"), ("p50_ms", "50 %"), ("p90_ms", "90 %")):
        beside = [float(timing[name]) for timing in alone]
        figures.append(Figure(f"{share}, alone", "ms", beside, beside=beside))
        late = [float(timing[name]) for timing in under]
        figures.append(Figure(f"{share}, under a normal one", "ms", late, beside=beside))
    title = f"A breaking alert to {min(BREAKING, *bench.sizes):,} during a normal one"
    return Answer("e", f"{title} to {max(bench.sizes):,}", "the same alert alone", figures)
