"""The command lines of the programs that make up the system; each is started as a process.

The workers' are started by name: nothing here imports them.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from service.broker.queue_names import QUEUES, STRANGERS_QUEUE

STRANGERS_MEMORY_KIB = 400_000


@dataclass(frozen=True, slots=True)
class Program:
    """A program's name for people, and its command line."""

    name: str
    command: tuple[str, ...]


def service(
    host: str, port: int, *, workers: int = 1, name: str = "service", gives_way: bool = False
) -> Program:
    """Serve the site and the API; every service has its own listener, processes and pool.

    One that gives way lets all other processes of the machine go first.
    """
    place = ("--host", host, "--port", str(port), "--workers", str(workers))
    return Program(name, _module("service.http.server", *place, *["--give-way"] * gives_way))


def worker(name: str, queues: tuple[str, ...], processes: int) -> Program:
    """Push: one Celery worker for `queues`, the first of them first, in so many processes."""
    options = ("-n", f"{name}@%h", "-Q", ",".join(queues), "-c", str(processes))
    quiet = ("--without-gossip", "--without-mingle", "--loglevel", "info")
    return Program(name, _celery("workers.app", "worker", *options, *quiet))


def workers(processes: int, urgent_processes: int) -> tuple[Program, Program]:
    """Push: one worker kept free for breaking alerts, and one for every queue."""
    urgent = worker("worker-urgent", QUEUES[:1], urgent_processes)
    return urgent, worker("worker", QUEUES, processes)


def feed_poller() -> Program:
    """Poll the feeds that are due; several may run, and one of them polls."""
    return Program("feeds", _module("service.feed_poller"))


def strangers_worker(processes: int) -> Program:
    """Push to servers that nobody named; a process that has grown is replaced after its task."""
    program = worker("worker-strangers", (STRANGERS_QUEUE,), processes)
    limit = ("--max-memory-per-child", str(STRANGERS_MEMORY_KIB))
    return Program(program.name, (*program.command, *limit))


def beat() -> Program:
    """Send `sweep` every second."""
    return Program("beat", _celery("workers.beat", "beat", "--pidfile=", "--loglevel", "warning"))


def standins(port: int, folder: Path | None = None) -> Program:
    """Stand in for Apple, Google, Mozilla and Huawei; prints one JSON line about itself."""
    data = () if folder is None else ("--data", str(folder))
    return Program("standins", _module("workers.standins", "--port", str(port), *data))


def doctor(*, as_json: bool = False) -> Program:
    """Check every configured part and report what is wrong."""
    return Program("doctor", _module("workers.upkeep.doctor", *(["--json"] if as_json else [])))


def read_environment() -> dict[str, str]:
    """Return the environment and, below it, what a `.env` file says."""
    file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return file | dict(os.environ)


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which our modules are found whatever the working folder is."""
    tree = str(Path(__file__).parents[2])
    paths = [tree, *filter(None, [base.get("PYTHONPATH")])]
    return {"PYTHONUNBUFFERED": "1", **base, "PYTHONPATH": ":".join(paths)}


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _celery(application: str, *arguments: str) -> tuple[str, ...]:
    return _module("celery", "--quiet", "-A", application, *arguments)  # no banner in the log
