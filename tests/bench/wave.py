"""Question i: the calls that an alert brings back, beside a plain Go server that does the same."""

import os
from collections import defaultdict
from urllib.parse import urlsplit

from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.report import Answer, Figure
from tests.bench.wave_calls import WaveData
from tests.bench.wave_peer import Load, PeerMissing, go_programs, load, serve

CONNECTIONS = 32
REQUESTS = int(os.environ.get("BENCH_WAVE_REQUESTS", "3000"))
"""Of one call in one measurement."""
WARMING_UP = 300
REFERENCE = "plain Go: net/http, database/sql, lib/pq"
TITLE = f"The calls that come back, {CONNECTIONS} connections, one service process"
Loads = dict[tuple[str, str], list[Load]]


def wave(bench: BenchSystem) -> Answer:
    """Make each call of us and of the Go server in turns."""
    try:
        loads = _measure(bench)
    except PeerMissing as missing:
        return Answer("i", TITLE, REFERENCE, [Figure("all", "", (), note=str(missing))])
    names = dict.fromkeys(name for name, _ in loads)
    figures = [figure for name in names for figure in _figures(name, loads)]
    return Answer("i", TITLE, REFERENCE, figures)


def _measure(bench: BenchSystem) -> Loads:
    system = bench.system
    data = WaveData(system.environment["NEWSZOP_SECRET_KEY"].encode())
    data.fill(system.engine)
    loads: Loads = defaultdict(list)
    only = os.environ.get("BENCH_WAVE_CALLS", "")
    with go_programs() as (server, client), serve(server, system.servers.database_url) as peer:
        hosts = {"go": peer, "ours": urlsplit(system.url).netloc}
        for round_number in range(bench.repeats + 1):
            print_progress("the wave" if round_number else "the wave, warming up")
            for name, make in data.calls().items():
                for side, host in hosts.items():
                    if only not in name or (side == "go" and name in _OURS_ONLY):
                        continue
                    measured = load(
                        client, host, make(REQUESTS if round_number else 300), CONNECTIONS
                    )
                    _check(name, side, measured)
                    if round_number:
                        loads[name, side].append(measured)
    return loads


_OURS_ONLY = ("GET /api/me/subscriptions",)


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
            [one.per_second for one in ours],
            "more",
            [one.per_second for one in peers],
        ),
        Figure(name, "p99 ms", [one.p99_ms for one in ours], "less", [one.p99_ms for one in peers]),
    ]
