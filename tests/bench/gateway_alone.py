"""Question a: the gateway alone, compared with a plain libcurl loop, Go and the peers."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import peers
from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.gateway_bench import GO, REFERENCE
from tests.bench.report import Answer, Better, Figure
from tests.system import ROOT

PUSHES = 20_000
LATENCIES = (0, 80)


def gateway_alone(bench: BenchSystem) -> Answer:
    """Run the gateway's benchmark, then the peers with the same reference."""
    print_progress("the gateway alone")
    rows = _rows(bench)
    figures = [figure for row in rows for figure in _figures(row, rows)]
    if all(row["client"] != GO for row in rows):
        figures.append(Figure(GO, "pushes/s", [], note="there is no go on the PATH"))
    figures += peers.measure_peers(bench)
    title = f"The gateway alone, {PUSHES:,} pushes on a warm connection"
    return Answer("a", title, f"a {REFERENCE}", figures)


def _rows(bench: BenchSystem) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        options = ("--pushes", str(PUSHES), "--repeats", str(bench.repeats), "--out", str(out))
        latencies = ("--latency", *map(str, LATENCIES))
        subprocess.run(
            [sys.executable, "-m", "tests.bench.gateway_bench", *options, *latencies],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        rows: list[dict[str, Any]] = json.loads(out.read_text())["rows"]
        return rows


def _figures(row: dict[str, Any], rows: list[dict[str, Any]]) -> list[Figure]:
    reference = next(
        each
        for each in rows
        if each["client"] == REFERENCE
        and (each["provider"], each["latency_ms"]) == (row["provider"], row["latency_ms"])
    )
    what = f"{row['provider']}, {row['latency_ms']} ms: {row['client']}"
    kinds: tuple[tuple[str, str, Better], ...] = (
        ("CPU us/push", "cpu_us", "less"),
        ("pushes/s", "per_second", "more"),
    )
    return [
        Figure(what, unit, _values(row, name), better, _values(reference, name))
        for unit, name, better in kinds
    ]


def _values(row: dict[str, Any], name: str) -> list[float]:
    """Return the least, the median and the most of the repetitions."""
    least, most = row[f"{name}_spread"]
    return [least, row[name], most]
