"""The plain Go server that the wave is compared with, and the load client; both are built here."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.demo.servers import free_port

SOURCES = Path(__file__).parent / "go"
DEBIAN_SOURCES = "/usr/share/gocode"
"""Where the package golang-github-lib-pq-dev puts lib/pq."""


class PeerMissing(Exception):
    """The peer cannot be built here, and why."""


@dataclass(frozen=True)
class Load:
    """What a load client measured."""

    per_second: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]
    broken: int


def build(name: str, folder: Path) -> Path:
    """Return the program built from `go/<name>`; raises `PeerMissing`."""
    if shutil.which("go") is None:
        raise PeerMissing("go is not installed")
    environment = dict(os.environ) | {
        "GO111MODULE": "off",
        "GOPATH": os.environ.get("GOPATH", DEBIAN_SOURCES),
        "GOCACHE": str(folder / "cache"),
    }
    program = folder / name
    command = ["go", "build", "-o", str(program), "."]
    result = subprocess.run(
        command, cwd=SOURCES / name, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise PeerMissing(f"go cannot build {name}: {result.stderr.strip().splitlines()[0]}")
    return program


@contextmanager
def go_programs() -> Iterator[tuple[Path, Path]]:
    """Build the server and the client; raises `PeerMissing`."""
    with TemporaryDirectory(prefix="newszop-bench-go-") as folder:
        yield build("wave_server", Path(folder)), build("wave_client", Path(folder))


@contextmanager
def serve(program: Path, database_url: str) -> Iterator[str]:
    """Run the server and return where it listens."""
    host = f"127.0.0.1:{free_port()}"
    url = f"{database_url}{'&' if '?' in database_url else '?'}sslmode=disable"
    process = subprocess.Popen([program, host, url], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise PeerMissing("the Go server does not start")
        yield host
    finally:
        process.terminate()
        process.wait(10)


def load(
    program: Path,
    host: str,
    requests: Sequence[dict[str, Any]],
    parallel: int,
    per_second: float = 0,
) -> Load:
    """Send each of the requests once and return what came of it."""
    work = {"host": host, "parallel": parallel, "requests": requests, "per_second": per_second}
    result = subprocess.run(
        [program], input=json.dumps(work) + "\n", capture_output=True, text=True, check=True
    )
    measured = json.loads(result.stdout)
    count = sum(measured["statuses"].values())
    return Load(
        per_second=count / measured["seconds"],
        p50_ms=measured["p50_ms"],
        p99_ms=measured["p99_ms"],
        statuses=measured["statuses"],
        broken=measured["broken"],
    )
