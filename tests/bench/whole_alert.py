"""Questions b and c: a whole alert, batches and Celery included, and how its cost grows."""

import statistics
from dataclasses import dataclass

from tests.bench.bench_system import BenchSystem, EndToEndRun, print_progress
from tests.bench.gateway_bench import credential, run_python
from tests.bench.one_process import ProcessRun
from tests.bench.peers import OURS
from tests.bench.pushes import Job
from tests.bench.report import Answer, Figure
from tests.bench.stages import STAGES
from workers.provider import load_provider

MILLION = 1e6
LATENCY_MS = 80
GATEWAY_PUSHES = 20_000
MAX_IN_ONE_PROCESS = 100_000
"""The most devices of a run in one process."""


def whole_alert(bench: BenchSystem) -> Answer:
    """Send to every size with one and two processes; the reference is the gateway alone."""
    figures: list[Figure] = []
    for devices in bench.sizes:
        for processes in (1, 2):
            print_progress(f"a whole alert: {devices:,} devices, {processes} sending")
            alone = _gateway_alone(bench, 0)
            figures += _of_size(
                bench.send_end_to_end(devices, processes), devices, processes, alone
            )
    figures += _stage_figures(bench)
    figures += _slow_answers(bench)
    title = "A whole alert: batches, Celery, verdicts; half APNs, half FCM"
    return Answer("b", title, "the gateway alone with the same pushes", figures)


@dataclass(frozen=True)
class GatewayAlone:
    """The gateway without the rest of the system, half of each provider."""

    rates: list[float]
    cpu_us: list[float]

    def figures(self, what: str) -> list[Figure]:
        return [
            Figure(f"{what}: gateway alone", "pushes/s", self.rates, "more", self.rates),
            Figure(f"{what}: gateway alone", "CPU s/million", self.cpu_us, beside=self.cpu_us),
        ]


def _gateway_alone(bench: BenchSystem, latency_ms: int) -> GatewayAlone:
    standins = bench.system.standins
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
    alone = GatewayAlone([], [])
    with bench.answer_latency(latency_ms):
        for _ in range(bench.repeats):
            runs = [run_python(OURS, job) for job in jobs]
            alone.rates.append(statistics.harmonic_mean([run.per_second for run in runs]))
            alone.cpu_us.append(statistics.mean(run.cpu_us for run in runs))
    bench.system.control.delete("/control/pushes").raise_for_status()
    return alone


def _of_size(
    runs: list[EndToEndRun], devices: int, processes: int, alone: GatewayAlone
) -> list[Figure]:
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


def _stage_figures(bench: BenchSystem) -> list[Figure]:
    """Return the CPU of one sending process by stage.

    The stages are timed in separate runs. Their shares apply to the CPU of a run without clocks,
    because the clocks cost some microseconds per push.
    """
    devices = max(
        size for size in bench.sizes if size <= MAX_IN_ONE_PROCESS or size == min(bench.sizes)
    )
    topic = bench.add_followers(devices)
    what = f"{devices:,}, one process"
    print_progress(f"one process by stage: {devices:,} devices")
    untimed = [_cpu(bench.send_in_one_process(topic, timed=False)) for _ in range(bench.repeats)]
    timed = [bench.send_in_one_process(topic, timed=True) for _ in range(bench.repeats)]
    figures = [Figure(f"{what}, all stages", "CPU s/million", untimed, beside=untimed)]
    for stage in STAGES:
        shares = [run.stages[stage] / sum(run.stages.values()) for run in timed]
        cpu = [share * statistics.median(untimed) for share in shares]
        figures.append(Figure(f"{what}: {stage}", "CPU s/million", cpu, beside=untimed))
    return figures


def _slow_answers(bench: BenchSystem) -> list[Figure]:
    """Return the figures with delayed answers."""
    devices = min(MAX_IN_ONE_PROCESS, max(bench.sizes))
    topic = bench.add_followers(devices)
    print_progress(f"answers after {LATENCY_MS} ms: {devices:,} devices")
    alone = _gateway_alone(bench, LATENCY_MS)
    quick = [bench.send_in_one_process(topic, timed=False) for _ in range(bench.repeats)]
    with bench.answer_latency(LATENCY_MS):
        slow = [bench.send_in_one_process(topic, timed=False) for _ in range(bench.repeats)]
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


def _rate(run: ProcessRun) -> float:
    return run.planned / run.seconds


def _cpu(run: ProcessRun) -> float:
    return run.cpu / run.planned * MILLION


def _wall_us(run: EndToEndRun) -> float:
    return 1e6 / run.per_second


def growth(bench: BenchSystem) -> Answer:
    """Return the cost of a device at each size; the reference is the smallest."""
    figures: list[Figure] = []
    first: list[EndToEndRun] = []
    for devices in bench.sizes:
        runs = bench.send_end_to_end(devices, 1)
        first = first or runs
        cpu, beside = [run.cpu_us for run in runs], [run.cpu_us for run in first]
        figures.append(Figure(f"{devices:,} devices", "CPU us/device", cpu, beside=beside))
        wall, beside = [_wall_us(run) for run in runs], [_wall_us(run) for run in first]
        figures.append(Figure(f"{devices:,} devices", "us/device", wall, beside=beside))
        planner = [float(run.usage.largest("workers")) for run in runs]
        beside = [float(run.usage.largest("workers")) for run in first]
        figures.append(Figure(f"{devices:,}: largest worker", "MiB", planner, beside=beside))
    assert statistics.median(run.devices for run in first) == bench.sizes[0]
    title = "What one device costs as alerts grow (workers, service, PostgreSQL, Redis)"
    return Answer("c", title, f"{bench.sizes[0]:,} devices", figures)
