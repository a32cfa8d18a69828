"""How each fault is done to the real processes, and undone."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.chaos.schedule import Fault
from tests.system import System

PROGRAMS = ("service", "worker-urgent", "worker", "beat")
COMPILER = shutil.which("cc")
"""Clocks are made to jump by a small library preloaded into every program of ours."""


class Faults:
    """Does faults to a system; `clock` is the file that says how far its clocks are off."""

    def __init__(self, system: System, clock: Path) -> None:
        self.system = system
        self.clock = clock
        self.skipped: set[str] = set()
        self._do: dict[str, Callable[[float], None]] = {
            "kill worker": lambda _: self._restart("worker"),
            "kill urgent worker": lambda _: self._restart("worker-urgent"),
            "kill service": lambda _: self._restart("service"),
            "kill beat": lambda _: self._restart("beat"),
            "kill all": lambda _: self._restart(*PROGRAMS),
            "drain worker": lambda _: self._drain("worker"),
            "flush redis": lambda _: self._flush(),
            "restart redis": self._redis_away,
            "redis away": self._redis_away,
            "redis frozen": self._redis_frozen,
            "restart postgres": lambda _: self._restart_postgres(),
            "disconnect postgres": lambda _: self._disconnect(),
            "refuse writes": self._refuse_writes,
            "jump clock": lambda _: self._jump(),
        }

    def do(self, fault: Fault) -> bool:
        """Do one fault and undo it; False when this machine cannot."""
        if fault.name == "jump clock" and COMPILER is None:
            self.skipped.add(fault.name)
            return False
        self._do[fault.name](fault.lasts_s)
        return True

    def _restart(self, *names: str) -> None:
        for name in names:
            self.system.kill(name)
        for name in names:
            self.system.start(name)

    def _drain(self, name: str) -> None:
        took = self.system.stop(name)
        self.system.start(name)
        assert took <= 5.5, f"the worker took {took:.1f} s to leave"

    def _flush(self) -> None:
        self.system.redis().flushall()

    def _redis_away(self, seconds: float) -> None:
        self.system.servers.redis.kill()
        time.sleep(seconds)
        self.system.servers.redis.start()

    def _redis_frozen(self, seconds: float) -> None:
        pid = self.system.servers.redis.child.pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def _restart_postgres(self) -> None:
        self.system.servers.postgres.kill()
        self.system.servers.postgres.start()

    def _disconnect(self) -> None:
        with psycopg.connect(self.system.servers.database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def _refuse_writes(self, seconds: float) -> None:
        self._read_only("on")
        time.sleep(seconds)
        self._read_only("off")

    def _read_only(self, value: str) -> None:
        with psycopg.connect(self.system.servers.database_url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            connection.execute("SELECT pg_reload_conf()")

    def _jump(self) -> None:
        """An hour forward, for every process of ours at once; the next jump goes back."""
        ahead = self.clock.read_text() != "0"
        self.clock.write_text("0" if ahead else "3600")


def environment(clock: Path) -> dict[str, str]:
    """Return what makes a program read its wall clock by `clock`; nothing without a compiler.

    libfaketime would do, but under it Python's threads wait for ever on its monotonic clock.
    """
    clock.write_text("0")
    if COMPILER is None:
        return {}
    library = clock.with_suffix(".so")
    source = Path(__file__).with_name("clock.c")
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"],
        check=True,
        timeout=60,
    )
    return {"LD_PRELOAD": str(library), "NEWSZOP_CLOCK": str(clock)}
