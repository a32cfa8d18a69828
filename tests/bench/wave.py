"""Question i: the calls that an alert brings back, beside a plain Go server that does the same.

Then they come all together, while the alert leaves.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench import wave_of_alert
from tests.bench.bench_system import SERVICE_PROCESSES, BenchSystem, print_progress
from tests.bench.machine import usage
from tests.bench.report import Answer, Figure
from tests.bench.wave_calls import Request, WaveData
from tests.bench.wave_peer import Load, PeerMissing, go_programs, load, serve

CONNECTIONS = 32
REQUESTS = int(os.environ.get("BENCH_WAVE_REQUESTS", "3000"))
"""Of one call in one measurement."""
WARMING_UP = 300
REFERENCE = "plain Go: net/http, database/sql, lib/pq"
TITLE = (
    f"The calls that come back, {CONNECTIONS} connections, service processes: {SERVICE_PROCESSES}"
)


@dataclass(frozen=True)
class Measured:
    """A load, and the CPU microseconds a call: of the server, and of PostgreSQL."""

    load: Load
    server_us: float
    postgres_us: float


Loads = dict[tuple[str, str], list[Measured]]


def wave(bench: BenchSystem) -> Answer:
    """Make each call of us and of the Go server in turns."""
    system = bench.system
    data = WaveData(system.environment["NEWSZOP_SECRET_KEY"].encode())
    data.fill(system.engine)
    try:
        with go_programs() as (server, client):
            loads = _measure(bench, data, server, client)
            together = [
                *wave_of_alert.figures_of_page(bench, data, client),
                *wave_of_alert.figures_of_alert(bench, data, client),
            ]
    except PeerMissing as missing:
        return Answer("i", TITLE, REFERENCE, [Figure("all", "", (), note=str(missing))])
    names = dict.fromkeys(name for name, _ in loads)
    figures = [figure for name in names for figure in _figures(name, loads)]
    return Answer("i", TITLE, REFERENCE, [*figures, *together])


def _measure(bench: BenchSystem, data: WaveData, server: Path, client: Path) -> Loads:
    system = bench.system
    loads: Loads = defaultdict(list)
    only = os.environ.get("BENCH_WAVE_CALLS", "")
    with serve(server, system.servers.database_url) as peer:
        hosts = {"go": peer, "ours": urlsplit(system.url).netloc}
        for round_number in range(bench.repeats + 1):
            print_progress("the wave" if round_number else "the wave, warming up")
            for name, make in data.calls().items():
                for side, host in hosts.items():
                    if only not in name or (side == "go" and name in _OURS_ONLY):
                        continue
                    requests = make(REQUESTS if round_number else WARMING_UP)
                    measured = _load(client, side, host, requests)
                    _check(name, side, measured.load)
                    if round_number:
                        loads[name, side].append(measured)
    return loads


_OURS_ONLY = ("GET /api/me/subscriptions",)
_SERVERS = {"go": "go server", "ours": "service"}


def _load(client: Path, side: str, host: str, requests: list[Request]) -> Measured:
    before = usage()
    result = load(client, host, requests, CONNECTIONS)
    cpu = usage().since(before)
    server_us, postgres_us = (
        cpu[part] / len(requests) * 1e6 for part in (_SERVERS[side], "postgres")
    )
    return Measured(result, server_us, postgres_us)


def _check(name: str, side: str, measured: Load) -> None:
    refusals = {status: n for status, n in measured.statuses.items() if not status.startswith("2")}
    if refusals or measured.broken:
        raise RuntimeError(f"{name}, {side}: {refusals}, {measured.broken} broken off")


def _figures(name: str, loads: Loads) -> list[Figure]:
    ours, peers = loads[name, "ours"], loads.get((name, "go"), [])
    return [
        Figure(
            name,
            "requests/s",
            [one.load.per_second for one in ours],
            "more",
            [one.load.per_second for one in peers],
        ),
        _less(name, "p99 ms", ours, peers, lambda one: one.load.p99_ms),
        _less(name, "CPU us a call", ours, peers, lambda one: one.server_us),
        _less(name, "PostgreSQL us", ours, peers, lambda one: one.postgres_us),
    ]


def _less(
    name: str,
    unit: str,
    ours: list[Measured],
    peers: list[Measured],
    value: Callable[[Measured], float],
) -> Figure:
    return Figure(name, unit, [*map(value, ours)], "less", [*map(value, peers)])
