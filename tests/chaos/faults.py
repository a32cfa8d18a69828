"""How each fault is done to the real processes, and undone."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from tests.chaos.doubles import Span
from tests.chaos.schedule import AIMED, Fault
from tests.system import System

PROGRAMS = ("service", "worker-urgent", "worker", "beat")
HANGING_KILL = "kill worker, answers hang"
AIMS_S = 12.0
LEASE_S = 8
SILENT_S = 2.0
_SILENT = f"""
SELECT 1 FROM batch WHERE lease_token IS NOT NULL
AND claimable_at BETWEEN now() AND now() + interval '{LEASE_S - SILENT_S * 0.8} s'
"""
"""A lease whose holder has not renewed it since it was stopped."""
_MIDWAY = """
SELECT 1 FROM batch b JOIN alert a ON a.id = b.alert_id AND a.urgency < 2
WHERE b.lease_token IS NOT NULL AND b.claimable_at > now() AND b.counts[1] > 100
"""
"""A batch in the hands of the worker for everything that has much of its work ahead."""
WEATHER = {"share": {"503": 0.02, "429": 0.01}, "retry_after": 1}
LATENCY_MS = 60
REFUSAL = {"status": 400, "body": {"reason": "MissingDeviceToken"}, "count": 10_000}
HANGING = {"hang": 0.003}
"""A few of a thousand: every batch of any size has one, and all its others are answered."""
COMPILER = shutil.which("cc")
"""Clocks are made to jump by a small library preloaded into every program of ours."""


class Faults:
    """Does faults to a system; `clock` is the file that says how far its clocks are off.

    The weather at the stand-ins is bad from the beginning, and follows from the seed.
    """

    def __init__(self, system: System, clock: Path, seed: int) -> None:
        self.system = system
        self.clock = clock
        self.seed = seed
        self.skipped: set[str] = set()
        self.done: list[Span] = []
        self._do: dict[str, Callable[[float], None]] = {
            "kill worker": lambda _: self._restart("worker"),
            "kill urgent worker": lambda _: self._restart("worker-urgent"),
            "kill service": lambda _: self._restart("service"),
            "kill beat": lambda _: self._restart("beat"),
            "kill all": lambda _: self._restart(*PROGRAMS),
            "drain worker": lambda _: self._drain("worker"),
            "freeze worker": lambda seconds: self._freeze("worker", seconds),
            HANGING_KILL: lambda _: self._kill_waiting("worker"),
            "flush redis": lambda _: self._flush(),
            "restart redis": self._redis_away,
            "redis away": self._redis_away,
            "redis frozen": self._redis_frozen,
            "restart postgres": lambda _: self._restart_postgres(),
            "disconnect postgres": lambda _: self._disconnect(),
            "refuse writes": self._refuse_writes,
            "jump clock": lambda _: self._jump(),
        }
        self._weather()

    def do(self, fault: Fault) -> None:
        """Do one fault and undo it, and note when; it is skipped where this machine cannot.

        Answers that hang belong to the weather: the fault begins with the kill.
        """
        if fault.name == "jump clock" and COMPILER is None:
            self.skipped.add(fault.name)
            return
        if fault.name in AIMED:
            self._await_work()
        if fault.name == HANGING_KILL:
            self._weather(**HANGING)
            time.sleep(fault.lasts_s)
        begun = time.time()
        self._do[fault.name](fault.lasts_s)
        self.done.append(Span(fault.name, begun, time.time()))

    def _await_work(self) -> None:
        """Wait for a moment in the middle of a fan-out, if one comes soon."""
        until = time.monotonic() + AIMS_S
        while time.monotonic() < until and not self._is_true(_MIDWAY):
            time.sleep(0.02)

    def _is_true(self, condition: str) -> bool:
        with psycopg.connect(self.system.servers.database_url) as connection:
            return connection.execute(condition).fetchone() is not None

    def refuse(self, addresses: Sequence[str]) -> None:
        """Have Apple refuse every push to some phones: those are given up, and can be replayed."""
        for address in addresses:
            self.system.weather(provider="apns", address=address, script=[REFUSAL])

    def _weather(self, **worse: float) -> None:
        share = WEATHER["share"] | worse
        self.system.weather(**WEATHER | {"share": share}, latency_ms=LATENCY_MS, seed=self.seed)

    def _restart(self, *names: str) -> None:
        for name in names:
            self.system.kill(name)
        for name in names:
            self.system.start(name)

    def _drain(self, name: str) -> None:
        took = self.system.stop(name)
        self.system.start(name)
        assert took <= 5.5, f"the worker took {took:.1f} s to leave"

    def _freeze(self, name: str, seconds: float) -> None:
        """Stop a process of it that has batches until others have them; it wakes up as it was."""
        for child in _children(self.system.running[name].pid):
            os.kill(child, signal.SIGSTOP)
            try:
                time.sleep(SILENT_S)
                if self._is_true(_SILENT):
                    time.sleep(seconds)
                    return
            finally:
                os.kill(child, signal.SIGCONT)

    def _kill_waiting(self, name: str) -> None:
        """Kill it while it waits for a few answers, and has known all the others for seconds."""
        self._restart(name)
        self._weather()

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


def _children(parent: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True, timeout=10
    )
    pairs = (map(int, line.split()) for line in listed.stdout.splitlines())
    return [pid for pid, of in pairs if of == parent]


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
