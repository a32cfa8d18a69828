"""The gateway alone: pushes per second and client CPU per push, with its references.

    python -m tests.bench.gateway_bench [--pushes N] [--repeats N] [--out FILE] ...

Everything is measured against the stand-ins, in alternation, so that a disturbance of the machine
hits all clients alike. The CPU time is that of the client; the rate depends on the server as well.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.bench.gateway_clients import Run
from tests.bench.pushes import Job, requests_of
from workers.gateway.httpx.exchange import exchange
from workers.provider import Answer, load_provider
from workers.standins.process import StandinsProcess, start

REFERENCE = "plain CurlMulti loop"
GO = "Go net/http"
SLOW = {"gateway (httpx)": 20}
"""Slow clients, and the number by which their pushes are divided."""
GO_SOURCE = Path(__file__).parent / "go" / "main.go"
GO_PARALLEL = 500

Table = dict[tuple[str, int, str], list[Run]]


@contextmanager
def go_client() -> Iterator[str | None]:
    """Build the Go client; None where there is no Go."""
    go = shutil.which("go")
    if go is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        binary = f"{folder}/client"
        environment = os.environ | {"GO111MODULE": "off", "GOCACHE": f"{folder}/cache"}
        subprocess.run([go, "build", "-o", binary, str(GO_SOURCE)], check=True, env=environment)
        yield binary


def credential(standins: StandinsProcess, provider: str) -> str:
    os.environ.update(standins.credentials)
    steps = load_provider(provider).credential(datetime.now(UTC))
    with httpx.Client(verify=standins.ca_file, trust_env=False) as client:
        answer: Answer | None = None
        while True:
            try:
                request = steps.send(answer) if answer else next(steps)
            except StopIteration as stop:
                return str(stop.value.value)
            answer = exchange(client, request, 10)


def run_python(name: str, job: Job) -> Run:
    command = [sys.executable, "-m", "tests.bench.gateway_clients", name]
    result = subprocess.run(
        command, input=json.dumps(asdict(job)), capture_output=True, text=True, check=True
    )
    return Run(**json.loads(result.stdout))


def run_go(binary: str, job: Job) -> Run:
    requests = [
        {
            "url": each.url,
            "headers": [line.split(": ", 1) for line in each.headers],
            "body": each.body.decode(),
        }
        for each in requests_of(job)
    ]
    job_content = {"ca": job.ca_file, "parallel": GO_PARALLEL, "requests": requests}
    result = subprocess.run(
        [binary], input=json.dumps(job_content), capture_output=True, text=True, check=True
    )
    return Run(**json.loads(result.stdout))


def measure(options: argparse.Namespace, standins: StandinsProcess, go: str | None) -> Table:
    table: Table = {}
    for provider in options.providers:
        secret = credential(standins, provider)
        for latency in options.latency:
            with httpx.Client(base_url=standins.control, trust_env=False) as control:
                control.put("/control/weather", json={"latency_ms": latency}).raise_for_status()
            for _ in range(options.repeats):
                for client in options.clients:
                    if client == GO and go is None:
                        continue
                    job = Job(
                        provider,
                        options.pushes // SLOW.get(client, 1),
                        options.window or load_provider(provider).window,
                        standins.ca_file,
                        secret,
                        standins.credentials,
                    )
                    run = run_go(go, job) if client == GO and go else run_python(client, job)
                    if run.accepted != run.pushes:
                        print(f"{client}: only {run.accepted} of {run.pushes} accepted")
                    table.setdefault((provider, latency, client), []).append(run)
                    with httpx.Client(base_url=standins.control, trust_env=False) as control:
                        control.delete("/control/pushes").raise_for_status()
    return table


def rows(table: Table) -> Iterator[dict[str, object]]:
    for (provider, latency, client), runs in table.items():
        cpu = statistics.median(run.cpu_us for run in runs)
        reference = table.get((provider, latency, REFERENCE))
        against = statistics.median(run.cpu_us for run in reference) if reference else None
        yield {
            "provider": provider,
            "latency_ms": latency,
            "client": client,
            "cpu_ratio": round(cpu / against, 2) if against else None,
            "cpu_us": round(cpu, 1),
            "cpu_us_spread": [round(f(run.cpu_us for run in runs), 1) for f in (min, max)],
            "per_second": round(statistics.median(run.per_second for run in runs)),
            "per_second_spread": [round(f(run.per_second for run in runs)) for f in (min, max)],
            "pushes": runs[0].pushes,
        }


def print_table(table_rows: list[dict[str, object]]) -> None:
    print(
        f"{'provider':9}{'answers':>8}  {'client':22}{'CPU/plain':>10}{'CPU us':>8}"
        f"{'least-most':>15}{'pushes/s':>10}{'least-most':>17}"
    )
    for row in table_rows:
        cpu_least, cpu_most = row["cpu_us_spread"]  # type: ignore[misc]
        least, most = row["per_second_spread"]  # type: ignore[misc]
        print(
            f"{row['provider']:9}{row['latency_ms']:>5} ms  {row['client']:22}"
            f"{row['cpu_ratio'] or '-':>10}{row['cpu_us']:>8}{f'{cpu_least}-{cpu_most}':>15}"
            f"{row['per_second']:>10}{f'{least}-{most}':>17}"
        )


def parse_options() -> argparse.Namespace:
    names = ["gateway (wire)", "gateway (curl)", REFERENCE, "gateway (httpx)", GO]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--window", type=int, default=0, help="0: the provider's own")
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 80])
    parser.add_argument("--providers", nargs="+", default=["apns", "fcm"])
    parser.add_argument("--clients", nargs="+", default=names, choices=names)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder, start(folder) as standins, go_client() as go:
        if go is None:
            print(f"{GO}: not measured, there is no go here")
        results = list(rows(measure(options, standins, go)))
    print_table(results)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(machine)
    if options.out:
        options.out.write_text(json.dumps({"machine": machine, "rows": results}, indent=1))


if __name__ == "__main__":
    main()
