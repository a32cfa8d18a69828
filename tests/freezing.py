"""A server stopped in its tracks: its connections stay open, and nothing answers."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from service.demo.postgres import Postgres
from service.demo.valkey import Redis


@contextmanager
def frozen(server: Postgres | Redis) -> Iterator[None]:
    """Stop a server and every process it has started, while the block lasts."""
    first = server.child.pid
    assert first is not None
    stopped = [first]
    os.kill(first, signal.SIGSTOP)  # first of all: from now on it starts no more
    try:
        for pid in _children(first):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        yield
    finally:
        for pid in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True, timeout=10
    )
    pairs = (map(int, line.split()) for line in listed.stdout.splitlines())
    return [pid for pid, of in pairs if of == parent]
