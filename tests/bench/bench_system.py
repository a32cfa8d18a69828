"""The system under test: its processes, its readers, and the alerts that were sent so far."""

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

from service.demo.contents import browser_source
from service.demo.servers import free_port
from service.settings import Settings
from service.store.readers import seeding
from tests.bench.machine import Usage, usage
from tests.bench.one_process import ProcessRun, SendTask
from tests.system import ROOT, System

SENDER = os.environ.get("BENCH_SENDER", Settings.model_fields["sender"].default)
"""The sender that is measured: BENCH_SENDER, or the default of the setting."""
INNER = {"NEWSZOP_INNER_PORT": str(free_port())} if os.environ.get("BENCH_INNER") else {}
"""With BENCH_INNER the newsroom has a service of its own, to which the site's gives way."""
SERVICE_PROCESSES = int(os.environ.get("BENCH_SERVICE_PROCESSES", "1"))
HALF_AND_HALF = {"apns": 1.0, "fcm": 1.0}
MIN_PUSHES_PER_SECOND = 500
"""A slower alert counts as stuck."""
ALL_TOPICS = 1000
"""More topics than exist, so that every reader follows each."""
POLL_S = 0.25
"""Between two readings of a report: each costs the service and the database milliseconds."""
IDLE_S = 4.0
"""How long the CPU of the idle system is measured."""


@dataclass(frozen=True)
class EndToEndRun:
    """One alert through the whole system: milliseconds since Send Push, CPU seconds above idle."""

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
        """Return the CPU microseconds per device of all our processes, without the stand-ins."""
        return (self.cpu.total() - self.cpu["stand-ins"]) / self.devices * 1e6


@dataclass
class BenchSystem:
    """The system under test; it starts at the first use of `system`."""

    sizes: list[int]
    repeats: int
    _system: System | None = None
    _topics: dict[str, str] = field(default_factory=dict)
    _runs: dict[tuple[int, int], list[EndToEndRun]] = field(default_factory=dict)
    _idle: dict[int, Counter[str]] = field(default_factory=dict)

    @property
    def system(self) -> System:
        if self._system is None:
            system = System(
                processes=1,
                service_processes=SERVICE_PROCESSES,
                NEWSZOP_LOG_LEVEL="warning",
                NEWSZOP_SENDER=SENDER,
                **INNER,
            )
            self._system = system.__enter__()
        return self._system

    def close(self) -> None:
        if self._system is not None:
            self._system.close()

    def add_followers(self, devices: int, providers: dict[str, float] | None = None) -> str:
        """Return a topic with so many followers, who have one device each."""
        mix = providers or HALF_AND_HALF
        name = f"bench/{'-'.join(sorted(mix))}-{devices}"
        if name not in self._topics:
            print_progress(f"making {devices:,} readers ({', '.join(mix)}) ...")
            population = seeding.Mix(
                topics_per_reader=ALL_TOPICS,
                providers=mix,
                topics={name: 1.0},
                browsers=browser_source(self.system.standins.control) if "webpush" in mix else None,
                quiet=0,
                muted=0,
                choosy=0,
            )
            url = self.system.servers.database_url
            seeding.seed(url, readers=devices, mix=population, seed=len(self._topics) + 1)
            self._topics[name] = name
        return name

    def run_senders(self, processes: int) -> None:
        """Run so many sending processes; 0 stops the worker of the normal queue."""
        if processes == self.system.processes and "worker" in self.system.running:
            return
        if "worker" in self.system.running:
            self.system.stop("worker")
        self.system.processes = processes
        if processes:
            self.system.start("worker")
            self.system.await_true(self._worker_is_ready, "the worker takes messages")

    def _worker_is_ready(self) -> bool:
        """Send an alert to nobody; it is finished when the worker has taken its task."""
        return bool(self.send_alert("bench/nobody")["state"] == "finished")

    def send_alert(self, topic: str, **fields: Any) -> dict[str, Any]:
        """Publish a story, press Send Push and wait for the end; return the report."""
        return self.wait_for_end(self.start_alert(topic, **fields))

    def start_alert(self, topic: str, **fields: Any) -> dict[str, Any]:
        """Publish a story and press Send Push; return the alert of the answer 202."""
        if topic not in self._topics:
            self.system.answer("POST", "/api/topics", json={"path": topic})
            self._topics[topic] = topic
        story = self.system.ingest(topics=[topic], source_uri=f"bench:{time.monotonic_ns()}")
        return self.system.send(story, **fields)

    def wait_for_end(self, alert: dict[str, Any]) -> dict[str, Any]:
        """Wait until the alert is finished; raise if a device was not reached."""
        deadline = time.monotonic() + 60 + max(self.sizes) / MIN_PUSHES_PER_SECOND
        report = self.system.alert(alert)
        while report["state"] != "finished":
            if time.monotonic() > deadline:
                raise RuntimeError(f"the alert is stuck: {report}")
            time.sleep(POLL_S)
            report = self.system.alert(alert)
        totals = report["totals"]
        if totals["accepted"] != totals["planned"]:
            raise RuntimeError(f"not all were accepted: {totals}")
        return report

    def send_end_to_end(self, devices: int, processes: int) -> list[EndToEndRun]:
        """Send alerts to so many devices, end to end; the runs are measured once and remembered."""
        key = (devices, processes)
        if key not in self._runs:
            topic = self.add_followers(devices)
            self.run_senders(processes)
            self.send_alert(self.add_followers(1000))  # opens connections, fetches credentials
            self._runs[key] = [self.measure(topic) for _ in range(self.repeats)]
        return self._runs[key]

    def _idle_cpu(self) -> Counter[str]:
        """Return the CPU seconds per second of each part of the idle system (sweeps, beat).

        They are not part of an alert's cost; in a short alert they would dominate it.
        """
        processes = self.system.processes
        if processes not in self._idle:
            before, start = usage(), time.monotonic()
            time.sleep(IDLE_S)
            cpu_s, seconds = usage().since(before), time.monotonic() - start
            self._idle[processes] = Counter({part: cpu / seconds for part, cpu in cpu_s.items()})
        return self._idle[processes]

    def measure(self, topic: str) -> EndToEndRun:
        """Send one alert and measure it."""
        idle = self._idle_cpu()
        before, start = usage(), time.monotonic()
        report = self.send_alert(topic)
        after, seconds = usage(), time.monotonic() - start
        cpu = after.since(before)
        self.system.control.delete("/control/pushes").raise_for_status()
        timing = report["timing"]
        return EndToEndRun(
            devices=report["totals"]["planned"],
            first_ms=timing["first_ms"],
            half_ms=timing["p50_ms"],
            ninety_ms=timing["p90_ms"],
            last_ms=max(timing["last_ms"], 1),
            cpu=Counter({part: used - idle[part] * seconds for part, used in cpu.items()}),
            usage=after,
        )

    def send_in_one_process(self, topic: str, *, timed: bool) -> ProcessRun:
        """Send an alert in one process without Celery, to measure inside it."""
        self.run_senders(0)
        result = subprocess.run(
            [sys.executable, "-m", "tests.bench.one_process"],
            input=json.dumps(asdict(SendTask(topic, timed))),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self.system.environment,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"sending failed: {result.stderr[-2000:]}")
        self.system.control.delete("/control/pushes").raise_for_status()
        return ProcessRun(**json.loads(result.stdout.splitlines()[-1]))

    @contextmanager
    def answer_latency(self, latency_ms: int) -> Iterator[None]:
        """Delay every answer of the stand-ins."""
        self.system.weather(latency_ms=latency_ms)
        try:
            yield
        finally:
            self.system.control.delete("/control/weather").raise_for_status()


def print_progress(line: str) -> None:
    """Print what is being measured on standard error, unless BENCH_QUIET is 1."""
    if os.environ.get("BENCH_QUIET") != "1":
        sys.stderr.write(f"  {line}\n")
        sys.stderr.flush()
