"""What the questions share: the whole system, readers to push to, and what was sent so far."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from service.demo.contents import browsers
from service.settings import Settings
from service.store.readers import seeding
from tests.bench.machine import Usage, usage
from tests.bench.sending import Sent, Task
from tests.system import ROOT, System

SENDER = os.environ.get("BENCH_SENDER", Settings.model_fields["sender"].default)
"""The sender that is measured; the usual one unless BENCH_SENDER says otherwise."""
PHONES = {"apns": 1.0, "fcm": 1.0}
SLOWEST_PER_SECOND = 500
"""An alert slower than this has come to a standstill."""
ALL_TOPICS = 1000
"""More than there are: then every reader follows each."""
LOOK_S = 0.25
"""Between two looks at a report: each costs the service and the database some milliseconds."""
IDLE_S = 4.0
"""How long to watch a system that has nothing to do."""


@dataclass(frozen=True)
class Whole:
    """An alert that went the whole way. Milliseconds are since Send Push; CPU beyond idling."""

    devices: int
    first_ms: int
    half_ms: int
    ninety_ms: int
    last_ms: int
    cpu: Counter[str]
    usage: Usage

    @property
    def per_second(self) -> float:
        return self.devices / self.last_ms * 1000

    @property
    def cpu_us(self) -> float:
        """Return the CPU microseconds a device of all that is ours: without the stand-ins."""
        return (self.cpu.total() - self.cpu["stand-ins"]) / self.devices * 1e6


@dataclass
class Rig:
    """The system under test, started when first asked for."""

    sizes: list[int]
    repeats: int
    _system: System | None = None
    _crowds: dict[str, str] = field(default_factory=dict)
    _sent: dict[tuple[int, int], list[Whole]] = field(default_factory=dict)
    _idle: dict[int, Counter[str]] = field(default_factory=dict)

    @property
    def system(self) -> System:
        if self._system is None:
            started = System(processes=1, NEWSZOP_LOG_LEVEL="warning", NEWSZOP_SENDER=SENDER)
            self._system = started.__enter__()
        return self._system

    def close(self) -> None:
        if self._system is not None:
            self._system.close()

    def crowd(self, devices: int, providers: dict[str, float] | None = None) -> str:
        """Return a topic that so many readers with one device each follow."""
        mix = providers or PHONES
        name = f"bench/{'-'.join(sorted(mix))}-{devices}"
        if name not in self._crowds:
            tell(f"making {devices:,} readers ({', '.join(mix)}) ...")
            given = seeding.Mix(
                topics_per_reader=ALL_TOPICS,
                providers=mix,
                topics={name: 1.0},
                browsers=browsers(self.system.standins.control) if "webpush" in mix else None,
                quiet=0,
                muted=0,
                choosy=0,
            )
            url = self.system.servers.database_url
            seeding.seed(url, readers=devices, mix=given, seed=len(self._crowds) + 1)
            self._crowds[name] = name
        return name

    def workers(self, processes: int) -> None:
        """Have so many sending processes; none stops the worker of the normal queue."""
        if processes == self.system.processes and "worker" in self.system.running:
            return
        if "worker" in self.system.running:
            self.system.stop("worker")
        self.system.processes = processes
        if processes:
            self.system.start("worker")
            self.system.await_true(self._takes_messages, "the worker takes messages")

    def _takes_messages(self) -> bool:
        """Whether an alert to nobody is finished: its task has been through the worker."""
        return bool(self.push("bench/nobody")["state"] == "finished")

    def push(self, topic: str, **given: Any) -> dict[str, Any]:
        """Publish a story, press Send Push and wait for the end; returns the report."""
        return self.wait(self.press(topic, **given))

    def press(self, topic: str, **given: Any) -> dict[str, Any]:
        """Publish a story and press Send Push; returns the 202's alert."""
        if topic not in self._crowds:
            self.system.answer("POST", "/api/topics", json={"path": topic})
            self._crowds[topic] = topic
        story = self.system.ingest(topics=[topic], source_uri=f"bench:{time.monotonic_ns()}")
        return self.system.send(story, **given)

    def wait(self, alert: dict[str, Any]) -> dict[str, Any]:
        """Wait until the alert is finished; raises when something of it was lost."""
        until = time.monotonic() + 60 + max(self.sizes) / SLOWEST_PER_SECOND
        report = self.system.alert(alert)
        while report["state"] != "finished":
            if time.monotonic() > until:
                raise RuntimeError(f"the alert came to a standstill: {report}")
            time.sleep(LOOK_S)
            report = self.system.alert(alert)
        totals = report["totals"]
        if totals["accepted"] != totals["planned"]:
            raise RuntimeError(f"not all were accepted: {totals}")
        return report

    def whole(self, devices: int, processes: int) -> list[Whole]:
        """Send alerts to so many devices, the whole way; what was sent once is remembered."""
        key = (devices, processes)
        if key not in self._sent:
            topic = self.crowd(devices)
            self.workers(processes)
            self.push(self.crowd(1000))  # connections are warm, credentials are there
            self._sent[key] = [self._whole(topic) for _ in range(self.repeats)]
        return self._sent[key]

    def _idle_cpu(self) -> Counter[str]:
        """Return the CPU seconds a second that each part takes with nothing to do: sweeps, beats.

        They are no alert's; a short one would bear more of them than its devices cost.
        """
        processes = self.system.processes
        if processes not in self._idle:
            before, begun = usage(), time.monotonic()
            time.sleep(IDLE_S)
            spent, seconds = usage().since(before), time.monotonic() - begun
            self._idle[processes] = Counter({part: cpu / seconds for part, cpu in spent.items()})
        return self._idle[processes]

    def _whole(self, topic: str) -> Whole:
        idle = self._idle_cpu()
        before, begun = usage(), time.monotonic()
        report = self.push(topic)
        after, seconds = usage(), time.monotonic() - begun
        spent = after.since(before)
        self.system.control.delete("/control/pushes").raise_for_status()
        timing = report["timing"]
        return Whole(
            devices=report["totals"]["planned"],
            first_ms=timing["first_ms"],
            half_ms=timing["p50_ms"],
            ninety_ms=timing["p90_ms"],
            last_ms=max(timing["last_ms"], 1),
            cpu=Counter({part: cpu - idle[part] * seconds for part, cpu in spent.items()}),
            usage=after,
        )

    def inside(self, topic: str, *, timed: bool) -> Sent:
        """Send an alert in one process without Celery, for a look inside."""
        self.workers(0)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.sending"],
            input=json.dumps(asdict(Task(topic, timed))),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self.system.environment,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"sending failed: {done.stderr[-2000:]}")
        self.system.control.delete("/control/pushes").raise_for_status()
        return Sent(**json.loads(done.stdout.splitlines()[-1]))

    @contextmanager
    def answers_after(self, latency_ms: int) -> Iterator[None]:
        """Let the stand-ins take so long to answer."""
        self.system.weather(latency_ms=latency_ms)
        try:
            yield
        finally:
            self.system.control.delete("/control/weather").raise_for_status()


def tell(line: str) -> None:
    """Say on standard error what takes so long."""
    if os.environ.get("BENCH_QUIET") != "1":
        sys.stderr.write(f"  {line}\n")
        sys.stderr.flush()
