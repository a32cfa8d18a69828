"""The release before beside this one, on this one's schema, in the middle of an alert.

    git worktree add --detach /tmp/before RELEASE       # and a .venv in it, or this one's is used
    NEWSZOP_RELEASE_BEFORE=/tmp/before RELEASE_DEVICES=20000 \\
        .venv/bin/python -m pytest -n 0 -m foreign tests/foreign/test_release_before.py -s

An upgrade replaces one program at a time, so old and new work on the same alert for a while.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.demo import programs
from service.outbox import QUEUES
from tests.journeys.people import People
from tests.system import STARTER, System

BEFORE = os.environ.get("NEWSZOP_RELEASE_BEFORE", "")
DEVICES = int(os.environ.get("RELEASE_DEVICES", "2000"))
LATENCY_MS = 1000
pytestmark = [
    pytest.mark.foreign,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("releases"),
    pytest.mark.skipif(
        not BEFORE, reason="NEWSZOP_RELEASE_BEFORE names no tree of the release before"
    ),
]


class MixedSystem(System):
    """A system of which some programs are the release before's; `worker-2` is one more."""

    def __init__(self, *before: str) -> None:
        super().__init__(NEWSZOP_PROVIDERS="apns,fcm")
        self.before = set(before)

    def _programs(self) -> dict[str, programs.Program]:
        return super()._programs() | {"worker-2": programs.worker("worker2", QUEUES, 1)}

    def start(self, name: str) -> None:
        """Start a program of the one tree or of the other."""
        if name not in self.before:
            super().start(name)
            return
        tree = Path(BEFORE)
        python = tree / ".venv/bin/python"
        _, *words = self._command(name)
        if not (tree / "workers" / "beat.py").exists():
            words = ["workers.app" if word == "workers.beat" else word for word in words]
        command = [str(python if python.exists() else sys.executable), *words]
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(
            [*STARTER, str(os.getpid()), str(int(signal.SIGTERM)), "-", *command],
            cwd=self.folder,
            env=self.environment | {"PYTHONPATH": str(tree)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def _ready(self) -> bool:
        """Ours must be ready; the release of November 29 calls a newer schema not ready."""
        if "service" not in self.before:
            return super()._ready()
        try:
            return self.api.get("/health/live").status_code == 200
        except httpx.TransportError:
            return False

    def upgrade(self, name: str) -> float:
        """Replace a program of before by ours; returns the seconds until the old one had ended."""
        seconds = self.stop(name)
        self.before.discard(name)
        self.start(name)
        return seconds


@pytest.fixture
def system(request: pytest.FixtureRequest) -> Iterator[MixedSystem]:
    with MixedSystem(*request.param) as running:
        running.start("worker-2")
        yield running


@pytest.mark.parametrize(
    "system",
    [
        pytest.param(("worker", "worker-urgent"), id="its workers beside our api and beat"),
        pytest.param(("service", "beat"), id="our workers beside its api and beat"),
        pytest.param(("service", "worker", "worker-urgent", "beat"), id="one worker of ours"),
    ],
    indirect=True,
)
@pytest.mark.parametrize("urgency", ["normal", "breaking"])
def test_old_and_new_send_one_alert_and_nobody_is_left_out_or_pushed_twice(
    system: MixedSystem, urgency: str
) -> None:
    people = People(system)
    addresses = people.crowd({"apns": DEVICES // 2, "fcm": DEVICES - DEVICES // 2})
    system.weather(latency_ms=LATENCY_MS)
    began_at = time.monotonic()
    alert = system.send(system.ingest(topics=[people.topic]), urgency=urgency)
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] > DEVICES // 10, "the middle is reached"
    )
    drains = {name: system.upgrade(name) for name in sorted(system.before)}
    system.await_true(system._ready, "our api is ready")
    report = system.finished(alert, within_s=180)
    pushes = system.pushes(alert_id=alert["id"], limit=1)
    seconds = time.monotonic() - began_at
    doubles = pushes["count"] - pushes["devices"]
    print(f"\n{urgency}: {seconds:.1f} s, {doubles} pushed twice; ended in {drains}")
    totals = report["totals"]
    assert report["state"] == "finished"
    assert totals["planned"] == totals["accepted"] == len(addresses) == DEVICES
    assert pushes["devices"] == DEVICES
    assert doubles == 0
