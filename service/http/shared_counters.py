"""Counters of all processes behind one port, as one: kept in files that the processes share.

`prometheus_client` does so when `PROMETHEUS_MULTIPROC_DIR` names a folder before it is imported.
`newszop serve` sees to that; without it, as in tests, a process counts for itself.
"""

import os
import tempfile
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def open_folder() -> None:
    """Name an empty folder for the processes that are started from here on."""
    name = os.environ.get(VARIABLE) or tempfile.mkdtemp(prefix="newszop-metrics-")
    folder = Path(name)
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):  # of an earlier run: counters begin at 0 again
        file.unlink(missing_ok=True)
    os.environ[VARIABLE] = name


def collect(registry: CollectorRegistry) -> bytes:
    """Return the counters in Prometheus' text form: of all processes, or of this one alone."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return generate_latest(registry)
    shared = CollectorRegistry()
    MultiProcessCollector(shared, folder)  # type: ignore[no-untyped-call]  # it has no types
    return generate_latest(shared)
