"""A server that nobody here wrote, as a process of this test run, and what it has processed."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from service.demo.servers import free_port
from tests.workers.certificates import make_certificate

HERE = Path(__file__).parent
START_S = 20.0
STOP_S = 5.0
IS_ROOT = os.getuid() == 0
_NUMBER = re.compile(r"/\?n=(\d+)")


def require(program: str, package: str) -> str:
    """Return the program's path; without it the test is skipped, saying what would bring it."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"no {program} here (Debian: apt-get install {package})")
    return path


class Site:
    """A folder with a certificate, in which servers run. A context manager: it ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        certificate = make_certificate(folder)
        self.certificate, self.key = certificate.certificate, certificate.key
        self.pair = folder / "pair.pem"
        self.pair.write_bytes(self.certificate.read_bytes() + self.key.read_bytes())
        self.requests = folder / "requests.log"
        """Where the server that answers writes down each request."""
        self.requests.touch()
        self.port = free_port()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self, command: Sequence[str | Path], output: Path | None = None) -> None:
        """Start a server that listens on `port`; what it prints goes to `output`."""
        output = output or self.folder / "server.log"
        process = self._run(command, output.open("wb"))
        until = time.monotonic() + START_S
        while not is_open(self.port):
            ended = process.poll() is not None
            assert not ended, f"it did not start: {output.read_text()[-2000:]}"
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.05)

    def start_announced(self, command: Sequence[str | Path]) -> int:
        """Start a server that prints its port, and return that."""
        process = self._run(command, subprocess.PIPE)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip().isdigit(), f"it did not start: {line!r}"
        return int(line)

    def start_origin(self, behaviour: str = "plain") -> int:
        """Start the HTTP/1.1 origin that a proxy leads to; returns its port."""
        program = HERE / "origin_server.py"
        return self.start_announced([sys.executable, "-S", program, self.requests, behaviour])

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def processed(self) -> Counter[int]:
        """Return how often each request has arrived where it is answered."""
        return Counter(map(int, _NUMBER.findall(self.requests.read_text())))

    def _run(self, command: Sequence[str | Path], output: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            stdout=output,  # type: ignore[call-overload]
            stderr=subprocess.STDOUT,
        )
        self._stack.callback(stop, process)
        return process


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def batches(numbers: range, count: int) -> Iterator[range]:
    """Cut the numbers into so many pieces."""
    size = -(-len(numbers) // count)
    for begin in range(numbers.start, numbers.stop, size):
        yield range(begin, min(begin + size, numbers.stop))
