"""How each fault is made to happen to the real processes, and how it ends."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from tests.chaos.duplicate_pushes import FaultSpan
from tests.chaos.schedule import AIMED, PARTITIONS, Fault
from tests.redis_refusals import REFUSALS, refusal
from tests.system import System

PROGRAMS = ("service", "worker-urgent", "worker", "beat")
HANGING_KILL = "kill worker, answers hang"
AIM_TIMEOUT_S = 12.0
LEASE_S = 8
FROZEN_CHECK_S = 2.0
_EXPIRING_LEASE = f"""
SELECT 1 FROM batch WHERE lease_token IS NOT NULL
AND claimable_at BETWEEN now() AND now() + interval '{LEASE_S - FROZEN_CHECK_S * 0.8} s'
"""
"""A lease whose holder has not renewed it since it was frozen."""
_BATCH_MIDWAY = """
SELECT 1 FROM batch b JOIN alert a ON a.id = b.alert_id AND a.urgency < 2
WHERE b.lease_token IS NOT NULL AND b.claimable_at > now() AND b.counts[1] > 100
"""
"""A batch that the worker of the normal queue has claimed, with most of its work still to do."""
WEATHER = {"share": {"503": 0.02, "429": 0.01}, "retry_after": 1}
LATENCY_MS = 60
REFUSAL = {"status": 400, "body": {"reason": "MissingDeviceToken"}, "count": 10_000}
WRONG_ENVIRONMENT = {"status": 400, "body": {"reason": "BadDeviceToken"}, "count": 1_000_000}
"""What Apple answers for every token of another environment."""
SLOW_MS = 8000
"""Longer than a stream waits at its end where it does not hear its answers out."""
REVOKED = {"status": 401, "body": {"error": {"code": 401, "status": "UNAUTHENTICATED"}}, "count": 9}
"""What Google answers under an access token that was revoked, to a few pushes of each process."""
TOKEN_LATENCY_MS = 10_000
BREAKABLE = {"goaway": 1_000_000}
"""Weather under which connections can be made deaf."""
WARM_S = 3.0
HANGING = {"hang": 0.003}
"""A few in a thousand: each large batch has one, and all its other pushes are answered."""
_PORT = re.compile(r"(?:127\.0\.0\.1|localhost):(\d+)")
COMPILER = shutil.which("cc")
"""Builds the small library, preloaded into all our programs, that makes clocks jump."""


class Faults:
    """Makes faults happen to a system; `clock` is the file with the offset of its clocks.

    The stand-ins misbehave from the start; how follows from the seed.
    """

    def __init__(self, system: System, clock: Path, seed: int) -> None:
        self.system = system
        self.clock = clock
        self.seed = seed
        self.skipped: set[str] = set()
        self.spans: list[FaultSpan] = []
        self._actions: dict[str, Callable[[float], None]] = {
            "kill worker": lambda _: self._restart("worker"),
            "kill urgent worker": lambda _: self._restart("worker-urgent"),
            "kill service": lambda _: self._restart("service"),
            "kill beat": lambda _: self._restart("beat"),
            "kill all": lambda _: self._restart(*PROGRAMS),
            "drain worker": lambda _: self._drain("worker"),
            "freeze worker": lambda seconds: self._freeze("worker", seconds),
            HANGING_KILL: lambda _: self._kill_while_waiting("worker"),
            "flush redis": lambda _: self._flush_redis(),
            "restart redis": self._remove_redis,
            "redis away": self._remove_redis,
            "redis frozen": self._freeze_redis,
            "restart postgres": lambda _: self._restart_postgres(),
            "disconnect postgres": lambda _: self._disconnect_postgres(),
            "refuse writes": self._refuse_writes,
            "jump clock": lambda _: self._jump_clock(),
            "wrong environment": self._use_wrong_environment,
            "slow provider": self._slow_down,
            "silent providers": self._silence,
            "redis refuses": self._refuse_messages,
            "deaf connections": self._deafen,
            "token server hangs": self._hang_token_server,
            "cut database": lambda seconds: self._cut(seconds, system.servers.database_url),
            "cut broker": lambda seconds: self._cut(seconds, system.servers.redis_url),
            "cut providers": lambda s: self._cut(s, *system.standins.providers.values()),
        }
        self._put_weather()

    def run(self, fault: Fault) -> None:
        """Make one fault happen and end, and record when; skip it where this machine cannot.

        Answers hang before the worker is killed: the recorded fault starts with the kill.
        """
        if self._is_impossible(fault.name):
            self.skipped.add(fault.name)
            return
        if fault.name in AIMED:
            self._await_work()
        if fault.name == HANGING_KILL:
            self._put_weather(**HANGING)
            time.sleep(fault.lasts_s)
        start = time.time()
        self._actions[fault.name](fault.lasts_s)
        self.spans.append(FaultSpan(fault.name, start, time.time()))

    def _is_impossible(self, name: str) -> bool:
        if name in PARTITIONS:
            return self.system.second_host is None
        return name == "jump clock" and COMPILER is None

    def _await_work(self) -> None:
        """Wait for a moment in the middle of a fan-out, for `AIM_TIMEOUT_S` at most."""
        deadline = time.monotonic() + AIM_TIMEOUT_S
        while time.monotonic() < deadline and not self._is_true(_BATCH_MIDWAY):
            time.sleep(0.02)

    def _is_true(self, condition: str) -> bool:
        with psycopg.connect(self.system.servers.database_url) as connection:
            return connection.execute(condition).fetchone() is not None

    def refuse(self, addresses: Sequence[str]) -> None:
        """Have Apple refuse every push to some phones: these are buried, and can be replayed."""
        for address in addresses:
            self.system.weather(provider="apns", address=address, script=[REFUSAL])

    def _put_weather(self, **more_shares: float) -> None:
        share = WEATHER["share"] | more_shares
        self.system.weather(**WEATHER | {"share": share}, latency_ms=LATENCY_MS, seed=self.seed)

    def _restart(self, *names: str) -> None:
        for name in names:
            self.system.kill(name)
        for name in names:
            self.system.start(name)

    def _drain(self, name: str) -> None:
        seconds = self.system.stop(name)
        self.system.start(name)
        assert seconds <= 5.5, f"the worker took {seconds:.1f} s to leave"

    def _freeze(self, name: str, seconds: float) -> None:
        """Freeze a process that has claimed batches until others have them, then wake it up."""
        for child in _children(self.system.running[name].pid):
            os.kill(child, signal.SIGSTOP)
            try:
                time.sleep(FROZEN_CHECK_S)
                if self._is_true(_EXPIRING_LEASE):
                    time.sleep(seconds)
                    return
            finally:
                os.kill(child, signal.SIGCONT)

    def _kill_while_waiting(self, name: str) -> None:
        """Kill it while a few answers hang, seconds after all the others arrived."""
        self._restart(name)
        self._put_weather()

    def _flush_redis(self) -> None:
        self.system.redis().flushall()

    def _remove_redis(self, seconds: float) -> None:
        self.system.servers.redis.kill()
        time.sleep(seconds)
        self.system.servers.redis.start()

    def _freeze_redis(self, seconds: float) -> None:
        pid = self.system.servers.redis.child.pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def _restart_postgres(self) -> None:
        self.system.servers.postgres.kill()
        self.system.servers.postgres.start()

    def _disconnect_postgres(self) -> None:
        with psycopg.connect(self._superuser_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def _refuse_writes(self, seconds: float) -> None:
        self._set_read_only("on")
        time.sleep(seconds)
        self._set_read_only("off")

    @property
    def _superuser_url(self) -> str:
        return f"{self.system.servers.postgres.server_url}/newszop"

    def _set_read_only(self, value: str) -> None:
        with psycopg.connect(self._superuser_url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            connection.execute("SELECT pg_reload_conf()")

    def _use_wrong_environment(self, seconds: float) -> None:
        """Have Apple doubt every token for a while; then a person releases the provider."""
        self.system.weather(provider="apns", script=[WRONG_ENVIRONMENT])
        time.sleep(seconds)
        self._restore("apns")
        time.sleep(1)
        self._release("apns")

    def _release(self, provider: str) -> None:
        self.system.api.delete(f"/api/admin/providers/{provider}/hold")

    def _slow_down(self, seconds: float) -> None:
        self.system.weather(provider="fcm", latency_ms=SLOW_MS)
        time.sleep(seconds)
        self._restore("fcm")

    def _restore(self, provider: str) -> None:
        self.system.weather(provider=provider, **WEATHER, latency_ms=LATENCY_MS, seed=self.seed)

    def _silence(self, seconds: float) -> None:
        """Leave every connection to the providers open and unanswered."""
        pid = self.system.standins.process.pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def _refuse_messages(self, seconds: float) -> None:
        """Have Redis refuse every write, in each of its ways for a third of the time."""
        for refuse in REFUSALS:
            with refusal(self.system.redis(), refuse):
                time.sleep(seconds / len(REFUSALS))

    def _deafen(self, seconds: float) -> None:
        """Leave every present connection to Google open and silent; later ones are well."""
        weather = WEATHER | BREAKABLE
        self.system.weather(provider="fcm", **weather, latency_ms=LATENCY_MS, seed=self.seed)
        time.sleep(WARM_S)
        self.system.control.post("/control/deafen").raise_for_status()
        time.sleep(seconds)
        self._restore("fcm")

    def _hang_token_server(self, seconds: float) -> None:
        """Revoke Google's access token while the token server hangs."""
        self.system.weather(provider="fcm", address="/token", latency_ms=TOKEN_LATENCY_MS)
        self.system.weather(provider="fcm", script=[REVOKED])
        time.sleep(seconds)
        self.system.weather(provider="fcm", address="/token")
        self._restore("fcm")
        time.sleep(1)
        self._release("fcm")

    def _cut(self, seconds: float, *places: str) -> None:
        """Lose every packet between the workers' host and the servers that these texts name."""
        host = self.system.second_host
        assert host is not None
        host.cut({int(port) for place in places for port in _PORT.findall(place)})
        time.sleep(seconds)
        host.heal()

    def _jump_clock(self) -> None:
        """Set the clock of all our processes forward by an hour; the next jump sets it back."""
        is_ahead = self.clock.read_text() != "0"
        self.clock.write_text("0" if is_ahead else "3600")


def _children(parent: int) -> list[int]:
    result = subprocess.run(
        ["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True, timeout=10
    )
    pairs = (map(int, line.split()) for line in result.stdout.splitlines())
    return [pid for pid, parent_pid in pairs if parent_pid == parent]


def environment(clock: Path) -> dict[str, str]:
    """Return what offsets a program's wall clock by `clock`; nothing without a compiler.

    libfaketime is no alternative: under it Python's threads wait for ever on its monotonic clock.
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
