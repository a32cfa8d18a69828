"""The machine that measures, and what each part of the system uses of it."""

import os
import platform
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PARTS = {
    "wave_server": "go server",
    "workers.standins": "stand-ins",
    "postgres": "postgres",
    "valkey-server": "redis",
    "service.http.server": "service",
    "beat": "beat",
    "worker": "workers",
}
"""A word of the command line -> the part of the system; the first match counts."""

MEGABYTE = 1024 * 1024


def describe() -> str:
    """Return one line about the machine."""
    memory = psutil.virtual_memory().total / 1024**3
    return (
        f"{platform.system()} {platform.machine()}, {_processor()}{os.cpu_count()} cores, "
        f"{memory:.0f} GiB, Python {platform.python_version()}, "
        f"load {', '.join(f'{load:.1f}' for load in os.getloadavg())} at the start"
    )


def _processor() -> str:
    with suppress(OSError), Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip() + ", "
    return ""


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far and resident MiB now, by part; of the child processes of this one."""

    cpu: Counter[str]
    resident: dict[str, list[int]]

    def since(self, before: "Usage") -> Counter[str]:
        """Return the CPU seconds of each part since an earlier measurement."""
        return Counter({part: self.cpu[part] - before.cpu[part] for part in self.cpu})

    def largest(self, part: str) -> int:
        """Return the MiB of the part's largest process."""
        return max(self.resident.get(part, [0]))


def usage() -> Usage:
    """Measure every child process of this one, including children that have ended."""
    cpu: Counter[str] = Counter()
    resident: dict[str, list[int]] = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            part = _part(" ".join(process.cmdline()) or process.name())
            times = process.cpu_times()
            cpu[part] += times.user + times.system + times.children_user + times.children_system
            resident.setdefault(part, []).append(round(process.memory_info().rss / MEGABYTE))
    return Usage(cpu, resident)


def _part(command: str) -> str:
    return next((part for word, part in PARTS.items() if word in command), "other")
