"""How large the system must be for an alert of so many devices in so many seconds.

Arithmetic on measured costs, and a simulation of the alert with the resulting sizes. Pure: the
measurements are in `Costs`, and other machines have other numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from math import ceil

MEASURED = (
    "in November 2026 by `make bench` on two shared virtual cores (AMD EPYC, Linux, Python 3.11)"
)
STEP_S = 0.05
LONGEST_S = 86_400.0
MEBIBYTE = 1024**2
GIBIBYTE = 1024**3
MOST_FOR_A_RAMP = 4
HEADROOM = 1.2
"""With a quota that is just enough, its provider would be the last to finish."""
ROUND_TO = 50_000
"""A quota is asked for in round numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What things cost, as `make bench` measures them (questions b, d and h).

    Microseconds are of one core's time for one device; bytes are on disk, indexes included.
    """

    push_us: float = 32.0
    """A sending process: load, build, send, verdict and flush over HTTP/2."""
    encryption_us: float = 115.0
    """What Web Push costs besides: a new key, ECDH, AES."""
    database_us: float = 9.0
    """PostgreSQL: fan-out, load, claims and flushes."""
    broker_us: float = 0.3
    """Redis: two messages a shard, and the shared rate of a provider with a quota."""
    first_push_s: float = 0.05
    """From the answer 202 to the first accepted push."""
    answer_s: float = 0.08
    """What a provider takes to answer."""
    window: int = 900
    """Requests that one process has in flight at one provider."""
    process_mib: int = 135
    """Resident memory of a sending process with its windows full."""
    reader_bytes: int = 220
    device_bytes: int = 390
    subscription_bytes: int = 220
    delivery_bytes: float = 12.0
    shard_devices: int = 10_000
    flushes_per_second: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to be reached. `mix` weighs the providers; `busy` is the share of a core in use."""

    devices: int
    seconds: float
    mix: Mapping[str, float] = field(
        default_factory=lambda: {"fcm": 6.0, "apns": 3.0, "webpush": 1.0}
    )
    quotas: Mapping[str, int] = field(default_factory=lambda: {"fcm": 600_000})
    """Messages a minute that a provider allows; one that is not named sets no limit."""
    ramp_s: float = 60.0
    """Seconds in which the rate to a provider with a quota grows from nothing to all of it."""
    busy: float = 0.7
    topics_per_reader: float = 4.0
    alerts_per_day: int = 20
    keep_days: int = 90

    def of_provider(self) -> dict[str, int]:
        """Return the devices of each provider."""
        total = sum(self.mix.values())
        return {name: round(self.devices * part / total) for name, part in self.mix.items()}


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """A quota too small for the alert, one that is enough, and the seconds with the present one."""

    provider: str
    quota: int
    sufficient_quota: int
    seconds_needed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What the goal requires."""

    per_second: float
    processes: int
    sender_cores: int
    sender_memory_gib: float
    database_cores: int
    database_disk_gib: float
    database_connections: int
    flushes_per_second: int
    broker_cores: int
    broker_messages: int
    bottlenecks: tuple[Bottleneck, ...]


def size(goal: Goal, costs: Costs) -> Size:
    """Return what the goal requires."""
    window = max(goal.seconds - costs.first_push_s, STEP_S)
    shares = goal.of_provider()
    cores = sum(n * push_us(name, costs) for name, n in shares.items()) / window / 1e6
    waiting = max(n / window * costs.answer_s / costs.window for n in shares.values())
    bottlenecks = _find_bottlenecks(goal, window)
    quotas = dict(goal.quotas) | {
        bottleneck.provider: bottleneck.sufficient_quota for bottleneck in bottlenecks
    }
    least = max(ceil(cores / goal.busy), ceil(waiting), 1)
    processes = _enough(replace(goal, quotas=quotas), costs, least)
    shards = ceil(goal.devices / costs.shard_devices)
    return Size(
        per_second=goal.devices / window,
        processes=processes,
        sender_cores=processes,
        sender_memory_gib=processes * costs.process_mib * MEBIBYTE / GIBIBYTE,
        database_cores=_cores(goal, costs.database_us, window),
        database_disk_gib=_disk(goal, costs) / GIBIBYTE,
        database_connections=2 * processes,
        flushes_per_second=processes * costs.flushes_per_second,
        broker_cores=_cores(goal, costs.broker_us, window),
        broker_messages=2 * shards,
        bottlenecks=tuple(bottlenecks),
    )


def _enough(goal: Goal, costs: Costs, least: int) -> int:
    """Return how many processes are in time: after a ramp, the last seconds need the most."""
    processes = least
    while processes < least * MOST_FOR_A_RAMP:
        if simulate(goal, costs, processes).all_s <= goal.seconds + 2 * STEP_S:
            break
        processes += max(processes // 50, 1)
    return processes


def push_us(provider: str, costs: Costs) -> float:
    """Return what one push costs its sending process."""
    return costs.push_us + (costs.encryption_us if provider == "webpush" else 0.0)


def _cores(goal: Goal, us: float, window: float) -> int:
    return max(ceil(goal.devices * us / window / 1e6 / goal.busy), 1)


def _disk(goal: Goal, costs: Costs) -> float:
    """Return the bytes of one device and its reader for each device, and of the stored batches."""
    reader = costs.reader_bytes + goal.topics_per_reader * costs.subscription_bytes
    deliveries = costs.delivery_bytes * goal.alerts_per_day * goal.keep_days
    return goal.devices * (reader + costs.device_bytes + deliveries)


def _find_bottlenecks(goal: Goal, window: float) -> list[Bottleneck]:
    """Return the quotas that are too small, and what to ask for."""
    bottlenecks = []
    for name, devices in goal.of_provider().items():
        quota = goal.quotas.get(name)
        if quota is None:
            continue
        minimum = devices * 60 / _at_full_rate(window, goal.ramp_s)
        if minimum > quota:
            request = ceil(minimum * HEADROOM / ROUND_TO) * ROUND_TO
            bottlenecks.append(
                Bottleneck(name, quota, request, _until(devices * 60 / quota, goal.ramp_s))
            )
    return bottlenecks


def _at_full_rate(seconds: float, ramp_s: float) -> float:
    """Return how many seconds at the full rate come to as much as these with their ramp."""
    return seconds - ramp_s / 2 if seconds >= ramp_s else seconds**2 / (2 * ramp_s)


def _until(full_s: float, ramp_s: float) -> float:
    """Return the seconds, ramp included, that come to so many at the full rate."""
    return full_s + ramp_s / 2 if full_s >= ramp_s / 2 else (2 * ramp_s * full_s) ** 0.5


@dataclass(frozen=True, slots=True)
class Course:
    """How an alert went: seconds since Send Push until half, nine tenths, all were accepted."""

    half_s: float
    ninety_s: float
    all_s: float


def simulate(goal: Goal, costs: Costs, processes: int) -> Course:
    """Let an alert run step by step with so many processes against the quotas.

    In each step the processes' time goes to what is remaining of each provider, which takes no more
    than its windows and its quota let through.
    """
    remaining = {name: float(n) for name, n in goal.of_provider().items()}
    total = sum(remaining.values())
    marks: list[float] = []
    for step in count(1):
        moment = costs.first_push_s + step * STEP_S
        _step(remaining, goal, costs, processes, step * STEP_S)
        done = total - sum(remaining.values())
        marks += [moment] * (sum(done >= total * part - 0.5 for part in (0.5, 0.9, 1)) - len(marks))
        if len(marks) == len(("half", "ninety", "all")) or moment > LONGEST_S:
            break
    marks += [LONGEST_S] * (3 - len(marks))
    return Course(*marks)


def _step(
    remaining: dict[str, float], goal: Goal, costs: Costs, processes: int, elapsed_s: float
) -> None:
    """Send for one step, first for the provider with the least remaining."""
    ramp = min(elapsed_s / goal.ramp_s, 1.0) if goal.ramp_s > 0 else 1.0
    time_us = processes * goal.busy * STEP_S * 1e6
    for waiting, name in enumerate(sorted(remaining, key=lambda each: remaining[each])):
        share_us = time_us / (len(remaining) - waiting)
        limits = [remaining[name], share_us / push_us(name, costs)]
        limits.append(processes * costs.window / costs.answer_s * STEP_S)
        if name in goal.quotas:
            limits.append(goal.quotas[name] / 60 * STEP_S * ramp)
        pushes = min(limits)
        remaining[name] -= pushes
        time_us -= pushes * push_us(name, costs)
