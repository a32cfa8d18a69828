"""The whole system as real processes, each of which can be killed and started again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import redis

from service.demo import child_processes, programs
from service.demo.servers import EmbeddedServers, free_port
from service.domain.people import Scope
from service.metrics import process_files
from service.settings import new_secret
from service.store.migrate import migrate
from service.store.session import open_engine, transaction
from service.store.staff import accounts
from tests.hosts.second_host import SecondHost
from workers.standins import process as standins

ROOT = Path(__file__).parent.parent
STARTER = (sys.executable, "-I", "-S", str(child_processes.STARTER))
STOP_S = 10.0
LOOK_S = 0.05
SELDOM_S = 0.2
WORKERS = frozenset({"worker", "worker-urgent", "worker-strangers"})
PROVIDERS = "apns,fcm,webpush,hms,expo"


class System:
    """Postgres, Redis, stand-ins, service, two workers and beat. A context manager.

    `processes` are those of the worker of both queues, `service_processes` those of the service;
    `settings` are added to the environment.
    With NEWSZOP_INNER_PORT the newsroom has a service of its own, and `api` is its client.
    With `*` first among the allowed hosts the strangers' worker runs too. Workers start on the
    second host while there is one.
    """

    def __init__(
        self,
        *,
        processes: int = 2,
        service_processes: int = 1,
        second_host: SecondHost | None = None,
        **settings: str,
    ) -> None:
        self.second_host = second_host
        self.folder = Path(tempfile.mkdtemp(prefix="newszop-system-"))
        self.processes = processes
        self.service_processes = service_processes
        self.extra = settings
        self.inner_port = int(settings.get("NEWSZOP_INNER_PORT", 0))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start_parts()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start_parts(self) -> None:
        self._start_servers()
        self.environment = self._environment()
        (self.folder / "metrics").mkdir()
        workers = ["worker-urgent", "worker"]
        if self.extra.get("WEBPUSH_ALLOWED_HOSTS", "").startswith("*"):
            workers.append("worker-strangers")
        services = ("service", *["service-inner"] * bool(self.inner_port))
        for name in (*services, *workers):  # they load for seconds, and need no table before that
            self.start(name)
        migrate(self.servers.database_url)
        self.engine = open_engine(self.servers.database_url)
        self._stack.callback(self.engine.dispose)
        with transaction(self.engine) as session:
            _, self.key = accounts.add_key(session, "tests", frozenset(Scope))
        newsroom = f"http://127.0.0.1:{self.inner_port or self.port}"
        self.api = httpx.Client(
            base_url=newsroom, timeout=30, headers={"Authorization": f"Bearer {self.key}"}
        )
        self.start("beat")
        self.await_true(self._ready, "the service is ready")
        self.await_true(
            lambda: self._count_workers() == len(workers), "every worker shows a sign of life"
        )

    def _start_servers(self) -> None:
        """Start PostgreSQL and Redis, and beside them the stand-ins."""
        self.servers = EmbeddedServers(self.folder / "servers", fast=True)
        self._stack.callback(self.servers.discard)
        with ThreadPoolExecutor(1) as thread:
            starting = thread.submit(standins.start, self.folder / "standins")
            self.servers.start()
            self.standins = starting.result()
        self._stack.callback(self.standins.stop)
        self.control = httpx.Client(base_url=self.standins.control, timeout=60)

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return programs.environment(
            inherited
            | self.standins.credentials
            | {
                "DATABASE_URL": self.servers.database_url,
                "REDIS_URL": self.servers.redis_url,
                "NEWSZOP_SECRET_KEY": new_secret(),
                "NEWSZOP_UNDO_SECONDS": "0",
                "NEWSZOP_PUBLIC_URL": self.url,
                "NEWSZOP_PROVIDERS": PROVIDERS,
                "NEWSZOP_CA_FILE": self.standins.ca_file,
                "NEWSZOP_STANDINS_URL": self.standins.control,
                "FCM_RAMP_SECONDS": "0",
                "NEWSZOP_SENDER_FOLDER": str(self.folder / "senders"),
                process_files.VARIABLE: str(self.folder / "metrics"),
            }
            | self.extra
        )

    def _programs(self) -> dict[str, programs.Program]:
        urgent, both = programs.workers(self.processes, 1)
        return {
            "worker-strangers": programs.strangers_worker(1),
            "service": programs.service(
                "127.0.0.1",
                self.port,
                workers=self.service_processes,
                gives_way=bool(self.inner_port),
            ),
            "service-inner": programs.service("127.0.0.1", self.inner_port, name="service-inner"),
            "worker-urgent": urgent,
            "worker": both,
            "beat": programs.beat(),
        }

    def _command(self, name: str) -> tuple[str, ...]:
        return self._programs()[name].command

    def start(self, name: str) -> None:
        """Start one of service, the three workers and beat, from the main thread.

        It is told to end when that thread does, so nothing outlives a run that was killed.
        """
        log = (self.folder / f"{name}.log").open("ab")
        prefix = self.second_host.prefix if self.second_host and name in WORKERS else ()
        starter = (*STARTER, str(os.getpid()), str(int(signal.SIGTERM)), "-")
        self.running[name] = subprocess.Popen(
            [*prefix, *starter, *self._command(name)],
            cwd=self.folder,
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def kill(self, name: str) -> None:
        """End a program and its children at once, as a power cut would."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_S)

    def stop(self, name: str) -> float:
        """Ask a program to end and return how many seconds it took."""
        process = self.running.pop(name)
        begin = time.monotonic()
        process.terminate()
        process.wait(STOP_S)
        return time.monotonic() - begin

    def close(self) -> None:
        """End everything."""
        for name in list(self.running):
            self.kill(name)
        self._stack.close()
        if sys.exc_info()[0] is None and not os.environ.get("KEEP_SYSTEM"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, name: str, characters: int = 4000) -> str:
        """Return the end of a program's log."""
        return (self.folder / f"{name}.log").read_text()[-characters:]

    def redis(self) -> redis.Redis:
        """Return a client of the broker."""
        return redis.Redis.from_url(self.servers.redis_url, socket_timeout=5)

    # ---- what people do ------------------------------------------------------------------------

    def ingest(self, **given: Any) -> dict[str, Any]:
        """Store a story through the API."""
        story = {"headline": "Rain at last", "body": "<p>It rains.</p>", "summary": "It rains."}
        return self.answer("POST", "/api/stories", json=story | given)

    def send(self, story: dict[str, Any], **given: Any) -> dict[str, Any]:
        """Press Send Push."""
        return self.answer("POST", f"/api/stories/{story['id']}/alerts", json=given)

    def alert(self, alert: dict[str, Any]) -> dict[str, Any]:
        """Return the alert's report."""
        return self.answer("GET", f"/api/alerts/{alert['id']}")

    def answer(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """Call the API; a refusal is a failed test with its words."""
        answer = self.api.request(method, path, **given)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}

    def finished(self, alert: dict[str, Any], within_s: float = 60.0) -> dict[str, Any]:
        """Wait until the alert is final and nothing of it is open; return its report."""

        def settled() -> bool:
            report = self.alert(alert)
            totals = report["totals"]
            final = report["state"] in ("finished", "stopped", "expired")
            return final and not totals["pending"] and not totals["retrying"]

        self.await_true(settled, "the alert is finished", within_s, lambda: str(self.alert(alert)))
        return self.alert(alert)

    def pushes(self, **filters: Any) -> dict[str, Any]:
        """Return what the stand-ins received."""
        return dict(self.control.get("/control/pushes", params=filters).raise_for_status().json())

    def weather(self, **given: Any) -> None:
        """Tell the stand-ins to misbehave."""
        self.control.put("/control/weather", json=given).raise_for_status()

    def await_true(
        self,
        condition: Callable[[], bool],
        what: str,
        within_s: float = 60.0,
        state: Callable[[], str] = lambda: "",
    ) -> None:
        """Wait for a condition; say what never came true.

        A look costs the service as much as a caller's request, so looks become rarer.
        """
        pause, until = LOOK_S, time.monotonic() + within_s
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(pause)
            pause = min(pause * 1.2, SELDOM_S)
        raise AssertionError(f"not within {within_s} s: {what}. {state()} (logs: {self.folder})")

    def _ready(self) -> bool:
        if self.running["service"].poll() is not None:
            raise AssertionError(f"the service ended: {self.log('service')}")
        try:
            return self.api.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def _count_workers(self) -> int:
        return len(self.answer("GET", "/api/admin/queues")["workers"])
