"""Questions d and e: how soon the first push is accepted, alone and beside another alert."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from celery import Celery

from tests.bench.report import Answer, Figure
from tests.bench.rig import Rig, tell
from tests.system import ROOT

ROUND_TRIPS = 50
MOST_AT_ONCE = 200_000
BREAKING = 10_000
HEAD_START_S = 2.0


def first_push(rig: Rig) -> Answer:
    """Measure from the 202 to the first accepted push, beside an empty task's round trip."""
    rig.workers(1)
    devices = max(size for size in rig.sizes if size <= MOST_AT_ONCE or size == min(rig.sizes))
    topic = rig.crowd(devices)
    with _empty_worker(rig) as app:
        trips = [_round_trip(app) for _ in range(ROUND_TRIPS)][ROUND_TRIPS // 5 :]
    rig.push(rig.crowd(1000))
    tell(f"from the 202 to the first push: {devices:,} devices")
    figures = [Figure("an empty Celery task", "ms", trips, beside=trips)]
    for urgency in ("normal", "breaking"):
        waits, reports = [], []
        for _ in range(rig.repeats):
            alert = rig.press(topic, urgency=urgency)
            answered = time.time()
            reports.append(rig.wait(alert)["timing"])
            waits.append(_first_at(rig, alert["id"]) - answered)
            rig.system.control.delete("/control/pushes").raise_for_status()
        figures.append(
            Figure(f"{urgency}: first push", "ms", [1000 * w for w in waits], beside=trips)
        )
        for name, share in (("p50_ms", "50 %"), ("p90_ms", "90 %"), ("last_ms", "100 %")):
            figures.append(Figure(f"{urgency}: {share}", "ms", [float(r[name]) for r in reports]))
    title = f"From the answer 202 to the first accepted push, {devices:,} devices"
    return Answer("d", title, "an empty Celery task's round trip", figures)


def _first_at(rig: Rig, alert_id: str) -> float:
    """Return when the alert's first push reached a stand-in."""
    found = rig.system.pushes(alert_id=alert_id, limit=1)["items"][0]
    return datetime.fromisoformat(found["at"]).timestamp()


@contextmanager
def _empty_worker(rig: Rig) -> Iterator[Celery]:
    url = rig.system.servers.redis_url
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
    begun = time.perf_counter()
    app.send_task("empty", queue="bench-empty").get(timeout=10)
    return (time.perf_counter() - begun) * 1000


def breaking(rig: Rig) -> Answer:
    """Send a breaking alert into a running normal one, beside the same one alone."""
    rig.workers(1)
    normal = rig.crowd(max(rig.sizes))
    urgent = rig.crowd(min(BREAKING, *rig.sizes))
    tell("a breaking alert under a running normal one")
    alone: list[dict[str, Any]] = []
    under: list[dict[str, Any]] = []
    for _ in range(rig.repeats):
        alone.append(rig.push(urgent, urgency="breaking")["timing"])
        running = rig.press(normal)
        time.sleep(HEAD_START_S)
        still = rig.system.alert(running)["totals"]["pending"]
        under.append(rig.push(urgent, urgency="breaking")["timing"])
        rig.wait(running)
        if not still:
            tell("the normal alert was over too soon: ask for a larger size")
        rig.system.control.delete("/control/pushes").raise_for_status()
    figures = []
    for name, share in (("first_ms", "first"), ("p50_ms", "50 %"), ("p90_ms", "90 %")):
        beside = [float(timing[name]) for timing in alone]
        figures.append(Figure(f"{share}, alone", "ms", beside, beside=beside))
        late = [float(timing[name]) for timing in under]
        figures.append(Figure(f"{share}, under a normal one", "ms", late, beside=beside))
    title = f"A breaking alert to {min(BREAKING, *rig.sizes):,} under a normal one"
    return Answer("e", f"{title} to {max(rig.sizes):,}", "the same alert alone", figures)
