"""Questions b and c: the whole way, ledger and Celery included, and how its cost grows."""

import statistics
from dataclasses import dataclass

from tests.bench.gateway_bench import credential, run_python
from tests.bench.peers import OURS
from tests.bench.pushes import Job
from tests.bench.report import Answer, Figure
from tests.bench.rig import Rig, Whole, tell
from tests.bench.sending import Sent
from tests.bench.stages import STAGES
from workers.provider import load_provider

MILLION = 1e6
LATENCY_MS = 80
GATEWAY_PUSHES = 20_000
MOST_INSIDE = 100_000
"""Devices of a look inside one process."""


def whole_way(rig: Rig) -> Answer:
    """Send to every size with one and two processes, beside the gateway alone in the same run."""
    figures: list[Figure] = []
    for devices in rig.sizes:
        for processes in (1, 2):
            tell(f"the whole way: {devices:,} devices, {processes} sending")
            alone = _gateway_alone(rig, 0)
            figures += _of_size(rig.whole(devices, processes), devices, processes, alone)
    figures += _split(rig)
    figures += _slow_answers(rig)
    title = "The whole way: ledger, Celery, verdicts; half APNs, half FCM"
    return Answer("b", title, "the gateway alone with the same pushes", figures)


@dataclass(frozen=True)
class Alone:
    """The gateway without the rest of the way, half of each provider."""

    rates: list[float]
    cpu_us: list[float]

    def figures(self, what: str) -> list[Figure]:
        return [
            Figure(f"{what}: gateway alone", "pushes/s", self.rates, "more", self.rates),
            Figure(f"{what}: gateway alone", "CPU s/million", self.cpu_us, beside=self.cpu_us),
        ]


def _gateway_alone(rig: Rig, latency_ms: int) -> Alone:
    standins = rig.system.standins
    secrets = {provider: credential(standins, provider) for provider in ("apns", "fcm")}
    jobs = [
        Job(
            name,
            GATEWAY_PUSHES,
            load_provider(name).window,
            standins.ca_file,
            secret,
            standins.credentials,
        )
        for name, secret in secrets.items()
    ]
    alone = Alone([], [])
    with rig.answers_after(latency_ms):
        for _ in range(rig.repeats):
            runs = [run_python(OURS, job) for job in jobs]
            alone.rates.append(statistics.harmonic_mean([run.per_second for run in runs]))
            alone.cpu_us.append(statistics.mean(run.cpu_us for run in runs))
    rig.system.control.delete("/control/pushes").raise_for_status()
    return alone


def _of_size(runs: list[Whole], devices: int, processes: int, alone: Alone) -> list[Figure]:
    what = f"{devices:,}, {processes} sending"
    rates = [run.per_second for run in runs]
    figures = [*alone.figures(what), Figure(what, "pushes/s", rates, "more", alone.rates)]
    for part in ("workers", "postgres", "redis"):
        seconds = [run.cpu[part] / run.devices * MILLION for run in runs]
        beside = alone.cpu_us if part == "workers" else ()
        figures.append(Figure(f"{what}: {part}", "CPU s/million", seconds, beside=beside))
    for part in ("workers", "service", "postgres", "redis"):
        resident = [float(run.usage.largest(part)) for run in runs]
        figures.append(Figure(f"{what}: largest of {part}", "MiB", resident))
    return figures


def _split(rig: Rig) -> list[Figure]:
    """Return the CPU of one sending process by stage.

    The stages are timed in runs of their own; their shares are given of what a run without the
    clocks takes, for the clocks cost some microseconds a push themselves.
    """
    devices = max(size for size in rig.sizes if size <= MOST_INSIDE or size == min(rig.sizes))
    topic = rig.crowd(devices)
    what = f"{devices:,}, one process"
    tell(f"one process by stage: {devices:,} devices")
    free = [_cpu(rig.inside(topic, timed=False)) for _ in range(rig.repeats)]
    timed = [rig.inside(topic, timed=True) for _ in range(rig.repeats)]
    figures = [Figure(f"{what}, all stages", "CPU s/million", free, beside=free)]
    for stage in STAGES:
        shares = [run.stages[stage] / sum(run.stages.values()) for run in timed]
        spent = [share * statistics.median(free) for share in shares]
        figures.append(Figure(f"{what}: {stage}", "CPU s/million", spent, beside=free))
    return figures


def _slow_answers(rig: Rig) -> list[Figure]:
    """Return what remains when each answer takes its time."""
    devices = min(MOST_INSIDE, max(rig.sizes))
    topic = rig.crowd(devices)
    tell(f"answers after {LATENCY_MS} ms: {devices:,} devices")
    alone = _gateway_alone(rig, LATENCY_MS)
    quick = [rig.inside(topic, timed=False) for _ in range(rig.repeats)]
    with rig.answers_after(LATENCY_MS):
        slow = [rig.inside(topic, timed=False) for _ in range(rig.repeats)]
    what = f"{devices:,}, {LATENCY_MS} ms answers"
    return [
        *alone.figures(what),
        Figure(f"{what}: one process", "pushes/s", [_rate(s) for s in slow], "more", alone.rates),
        Figure(
            f"{what}: CPU of it",
            "CPU s/million",
            [_cpu(s) for s in slow],
            beside=[_cpu(s) for s in quick],
            note="to answers at once",
        ),
        Figure(f"{what}: windows in use", "part", [s.fullness for s in slow], "more"),
    ]


def _rate(sent: Sent) -> float:
    return sent.planned / sent.seconds


def _cpu(sent: Sent) -> float:
    return sent.cpu / sent.planned * MILLION


def _wall(run: Whole) -> float:
    return 1e6 / run.per_second


def growth(rig: Rig) -> Answer:
    """Say what a device costs at each size, beside the smallest."""
    figures: list[Figure] = []
    first: list[Whole] = []
    for devices in rig.sizes:
        runs = rig.whole(devices, 1)
        first = first or runs
        cpu, beside = [run.cpu_us for run in runs], [run.cpu_us for run in first]
        figures.append(Figure(f"{devices:,} devices", "CPU us/device", cpu, beside=beside))
        wall, beside = [_wall(run) for run in runs], [_wall(run) for run in first]
        figures.append(Figure(f"{devices:,} devices", "us/device", wall, beside=beside))
        planner = [float(run.usage.largest("workers")) for run in runs]
        beside = [float(run.usage.largest("workers")) for run in first]
        figures.append(Figure(f"{devices:,}: largest worker", "MiB", planner, beside=beside))
    assert statistics.median(run.devices for run in first) == rig.sizes[0]
    title = "What one device costs as alerts grow (workers, service, PostgreSQL, Redis)"
    return Answer("c", title, f"{rig.sizes[0]:,} devices", figures)
