"""Counters of several processes as one: kept in files of a folder that they share.

`prometheus_client` does so when `PROMETHEUS_MULTIPROC_DIR` names a folder before it is imported.
`newszop serve`, `work`, `sweep` and `demo` see to that; without it, as in tests, a process counts
for itself. Processes are told apart by their ids, so a folder belongs to one machine or container.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
NOBODY = 0
"""The process id of the files that hold what ended processes have counted."""


def open_folder(default: Path | None = None) -> None:
    """Name a folder for the processes that are started from here on; counters begin at 0.

    The environment's, else `default`, else a new one. What processes that still run have counted
    there stays.
    """
    name = os.environ.get(VARIABLE) or default or tempfile.mkdtemp(prefix="newszop-metrics-")
    folder = Path(name).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if not any(_is_alive(_process_of(file)) for file in folder.glob("*.db")):
            for file in folder.glob("*.db"):
                file.unlink(missing_ok=True)
    os.environ[VARIABLE] = str(folder)


def collect(registry: CollectorRegistry) -> bytes:
    """Return the counters in Prometheus' text form: of all processes, or of this one alone."""
    name = os.environ.get(VARIABLE)
    if not name:
        return generate_latest(registry)
    shared = CollectorRegistry()
    with _locked(Path(name)):
        _fold_ended(Path(name))
        MultiProcessCollector(shared, name)  # type: ignore[no-untyped-call]  # it has no types
        return generate_latest(shared)


def _fold_ended(folder: Path) -> None:
    """Add up what ended processes have counted: files are as many as processes, not as deaths."""
    for file in folder.glob("*.db"):
        process = _process_of(file)
        if process == NOBODY or _is_alive(process):
            continue
        if not file.name.startswith("gauge"):
            _add(file, folder / f"{file.stem.partition('_')[0]}_{NOBODY}.db")
        file.unlink(missing_ok=True)


def _add(file: Path, total: Path) -> None:
    # neither has types: (key, value, timestamp, place) a row
    rows = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    sums = MmapedDict(str(total))  # type: ignore[no-untyped-call]
    try:
        for key, value, *_ in rows:
            before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]
            sums.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
    finally:
        sums.close()  # type: ignore[no-untyped-call]


def _process_of(file: Path) -> int:
    """Return the process id in a name such as `counter_17.db`."""
    number = file.stem.rpartition("_")[2]
    return int(number) if number.isdigit() else NOBODY


def _is_alive(process: int) -> bool:
    if process == NOBODY:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time add up and read."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
