"""How large the system must be for an alert of so many devices in so many seconds.

Arithmetic on measured costs, and a simulation of the alert with the sizes that come out. Pure: what
was measured stands in `Costs`, and whoever measures on other machines gives other numbers.
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
"""A quota that is only just enough leaves its provider to be waited for at the end."""
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
class Wish:
    """What is to be reached. `mix` weighs the providers; `busy` is how far a core may be filled."""

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
class Wall:
    """A quota that the alert would run into: what it allows, what is needed, what it costs."""

    provider: str
    allowed: int
    needed: int
    seconds_without: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is needed."""

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
    walls: tuple[Wall, ...]


def size(wish: Wish, costs: Costs) -> Size:
    """Return what it takes to reach the wish."""
    window = max(wish.seconds - costs.first_push_s, STEP_S)
    shares = wish.of_provider()
    cores = sum(n * push_us(name, costs) for name, n in shares.items()) / window / 1e6
    waiting = max(n / window * costs.answer_s / costs.window for n in shares.values())
    walls = _walls(wish, window)
    raised = dict(wish.quotas) | {wall.provider: wall.needed for wall in walls}
    least = max(ceil(cores / wish.busy), ceil(waiting), 1)
    processes = _enough(replace(wish, quotas=raised), costs, least)
    shards = ceil(wish.devices / costs.shard_devices)
    return Size(
        per_second=wish.devices / window,
        processes=processes,
        sender_cores=processes,
        sender_memory_gib=processes * costs.process_mib * MEBIBYTE / GIBIBYTE,
        database_cores=_cores(wish, costs.database_us, window),
        database_disk_gib=_disk(wish, costs) / GIBIBYTE,
        database_connections=2 * processes,
        flushes_per_second=processes * costs.flushes_per_second,
        broker_cores=_cores(wish, costs.broker_us, window),
        broker_messages=2 * shards,
        walls=tuple(walls),
    )


def _enough(wish: Wish, costs: Costs, least: int) -> int:
    """Return how many processes are in time: behind a ramp the last seconds need more than all."""
    processes = least
    while processes < least * MOST_FOR_A_RAMP:
        if simulate(wish, costs, processes).all_s <= wish.seconds + 2 * STEP_S:
            break
        processes += max(processes // 50, 1)
    return processes


def push_us(provider: str, costs: Costs) -> float:
    """Return what one push costs its sending process."""
    return costs.push_us + (costs.encryption_us if provider == "webpush" else 0.0)


def _cores(wish: Wish, us: float, window: float) -> int:
    return max(ceil(wish.devices * us / window / 1e6 / wish.busy), 1)


def _disk(wish: Wish, costs: Costs) -> float:
    """Return the bytes of one device and its reader for each device, and of the kept ledger."""
    reader = costs.reader_bytes + wish.topics_per_reader * costs.subscription_bytes
    ledger = costs.delivery_bytes * wish.alerts_per_day * wish.keep_days
    return wish.devices * (reader + costs.device_bytes + ledger)


def _walls(wish: Wish, window: float) -> list[Wall]:
    """Return the quotas that stand in the way, and what to ask for."""
    found = []
    for name, devices in wish.of_provider().items():
        allowed = wish.quotas.get(name)
        if allowed is None:
            continue
        needed = devices * 60 / _at_full_rate(window, wish.ramp_s)
        if needed > allowed:
            rounded = ceil(needed * HEADROOM / ROUND_TO) * ROUND_TO
            found.append(Wall(name, allowed, rounded, _until(devices * 60 / allowed, wish.ramp_s)))
    return found


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


def simulate(wish: Wish, costs: Costs, processes: int) -> Course:
    """Let an alert run step by step with so many processes against the quotas.

    In each step the processes' time goes to what is left of each provider, which takes no more
    than its windows and its quota let through.
    """
    left = {name: float(n) for name, n in wish.of_provider().items()}
    total = sum(left.values())
    marks: list[float] = []
    for step in count(1):
        at = costs.first_push_s + step * STEP_S
        _step(left, wish, costs, processes, step * STEP_S)
        done = total - sum(left.values())
        marks += [at] * (sum(done >= total * part - 0.5 for part in (0.5, 0.9, 1)) - len(marks))
        if len(marks) == len(("half", "ninety", "all")) or at > LONGEST_S:
            break
    marks += [LONGEST_S] * (3 - len(marks))
    return Course(*marks)


def _step(left: dict[str, float], wish: Wish, costs: Costs, processes: int, at: float) -> None:
    """Send for one step, the providers with least left taking their share of the time first."""
    ramped = min(at / wish.ramp_s, 1.0) if wish.ramp_s > 0 else 1.0
    time_us = processes * wish.busy * STEP_S * 1e6
    for waiting, name in enumerate(sorted(left, key=lambda each: left[each])):
        share_us = time_us / (len(left) - waiting)
        limits = [left[name], share_us / push_us(name, costs)]
        limits.append(processes * costs.window / costs.answer_s * STEP_S)
        if name in wish.quotas:
            limits.append(wish.quotas[name] / 60 * STEP_S * ramped)
        sent = min(limits)
        left[name] -= sent
        time_us -= sent * push_us(name, costs)
