"""`newszop demo`: the whole system on real parts, started and watched by one process.

The order is: servers and stand-ins, migrations, logins and readers, then the site, the workers and
beat, then the stories through the site's own API. However it ends, nothing is left running.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from service.demo import contents, demo_settings, programs
from service.demo.child_processes import Child
from service.demo.contents import Progress
from service.demo.demo_settings import Standins
from service.demo.programs import Program
from service.demo.servers import EmbeddedServers, free_port
from service.demo.supervisor import Supervisor, stop_all
from service.settings import why_no_demo
from service.store.migrate import migrate
from service.store.session import open_engine

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 6.0


class DemoFailed(Exception):
    """The demo cannot start. One line says why."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a person may choose for a run."""

    port: int
    folder: Path
    readers: int


class Demo:
    """One run. `run` returns only by an exception: `Stop`, or the failure of a part."""

    def __init__(
        self,
        options: DemoOptions,
        overrides: Mapping[str, str],
        say: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self.port = options.port or free_port()
        self.folder = options.folder.absolute()
        self.readers = options.readers
        self.overrides = overrides
        self.say = say
        self.progress = progress
        self.url = f"http://127.0.0.1:{self.port}"
        self.children: list[Child] = []
        self.supervisor = Supervisor(say)

    def run(self) -> None:
        """Start everything, print the addresses, and watch the processes until the end."""
        started_at = time.monotonic()
        with ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            settings = {"DATABASE_URL": "postgres", "REDIS_URL": "redis"}
            without = [name for setting, name in settings.items() if self.overrides.get(setting)]
            servers = EmbeddedServers(self.folder, without=without)
            servers.lock_folder()
            require_free_port(self.port)
            require_private_site(self.overrides.get("NEWSZOP_PUBLIC_URL", self.url))
            stack.callback(servers.stop)
            stack.callback(self._stop_children)
            logins, standins = self._bring_up(servers)
            self._announce(logins, standins, time.monotonic() - started_at)
            self.supervisor.run_forever()

    def _bring_up(self, servers: EmbeddedServers) -> tuple[dict[str, Any], Standins]:
        self.say("Starting the stand-ins of Apple, Google, Mozilla and Huawei ...")
        standins_child = self._child(programs.standins(0, self.folder / "standins"), self.overrides)
        restart = partial(demo_settings.start_standins, standins_child)
        restart()
        self.say("Starting PostgreSQL and Redis ...")
        servers.start()
        standins = demo_settings.await_standins(standins_child)
        environment = demo_settings.build_environment(
            self.overrides, servers, standins, self.url, self.folder
        )
        self.say("Starting the service ...")  # connects to nothing before its first request
        has_inner = bool(environment.get("NEWSZOP_INNER_PORT"))
        site = programs.service("127.0.0.1", self.port, gives_way=has_inner)
        service = self._launch(site, environment)
        self._launch_inner(environment)
        self.say("Migrating the database ...")
        migrate(environment["DATABASE_URL"])
        file = contents.LoginFile(self.folder / "demo.json")
        logins = self._fill(environment, standins, file.read())
        self._await_service(service)
        self.say("Starting the workers and beat ...")
        self._start_workers(environment)
        self.supervisor.watch(standins_child, restart)  # the restart keeps its ports
        for server in servers.used_servers():
            self.supervisor.watch(server.child, server.start)
        self._ingest(logins["ingester"]["key"])
        file.write({"url": self.url, "standins_url": standins.control, **logins})
        return logins, standins

    def _fill(
        self, environment: Mapping[str, str], standins: Standins, earlier: dict[str, Any]
    ) -> dict[str, Any]:
        """Create the readers and the logins that are missing; return the logins."""
        engine = open_engine(environment["DATABASE_URL"], pool_size=2, name="newszop demo")
        try:
            contents.ensure_readers(
                environment["DATABASE_URL"], self.readers, standins, self.progress
            )
            return contents.ensure_people(engine, earlier)
        finally:
            engine.dispose()

    def _start_workers(self, environment: Mapping[str, str]) -> None:
        workers = programs.workers(os.cpu_count() or 1, 1)
        others = (programs.strangers_worker(1), programs.beat(), programs.feed_poller())
        for program in (*workers, *others):
            self._launch(program, environment)

    def _launch_inner(self, environment: Mapping[str, str]) -> None:
        """Start the second listener when the settings name its port."""
        port = environment.get("NEWSZOP_INNER_PORT")
        if port:
            inner = programs.service("127.0.0.1", int(port), name="service-inner")
            self._launch(inner, environment)

    def _launch(self, program: Program, environment: Mapping[str, str]) -> Child:
        child = self._child(program, environment)
        child.start()
        self.supervisor.watch(child, child.start)
        return child

    def _child(self, program: Program, environment: Mapping[str, str]) -> Child:
        child = Child(
            program.name,
            program.command,
            self.folder / "logs" / f"{program.name}.log",
            environment=programs.environment(environment),
        )
        self.children.append(child)
        return child

    def _await_service(self, service: Child) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not service.is_running():
                raise service.failure("ended while it started")
            try:
                if httpx.get(f"{self.url}/health/live", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise service.failure(f"did not answer within {START_TIMEOUT_S:.0f} s")

    def _ingest(self, key: str) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=10) as client:
            for story in contents.stories():
                client.post(f"{self.url}/api/stories", json=story).raise_for_status()

    def _stop_children(self) -> None:
        stop_all(self.children, STOP_TIMEOUT_S)

    def _announce(self, logins: dict[str, Any], standins: Standins, duration_s: float) -> None:
        lines = [
            "",
            f"Ready after {duration_s:.1f} s.",
            f"  Site        {self.url}/",
            f"  Newsroom    {self.url}/desk        (sign in at {self.url}/login)",
            f"  Control     {self.url}/control",
            f"  Phones      {self.url}/phones      what the demo's devices received",
            f"  API         {self.url}/docs",
            f"  Stand-ins   {standins.control}",
            "",
            *(
                f"  {name:<11} {login['email']}  password {login['password']}  key {login['key']}"
                for name, login in logins.items()
                if "email" in login
            ),
            f"  ingester    key {logins['ingester']['key']}",
            "",
            f"This also stands in {self.folder / 'demo.json'}; logs are beside it in logs/.",
            "Ctrl-C stops everything.",
        ]
        self.say("\n".join(lines))


def require_private_site(url: str) -> None:
    """Raise `DemoFailed` when people outside could reach the demo, which shows its logins."""
    refusal = why_no_demo(url)
    if refusal is not None:
        raise DemoFailed(refusal)


def require_free_port(port: int) -> None:
    """Raise `DemoFailed` when the port is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise DemoFailed(f"PORT: {port} is in use; choose another, as in PORT=8001") from None
