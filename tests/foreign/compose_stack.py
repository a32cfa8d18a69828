"""docker-compose.yml as an operator runs it, in a folder of its own, on a real engine.

Beside it stand the stand-ins of the providers, at an address of the same network. With Compose 1,
which Debian ships, two things of the file are said differently: `env_file` has no long form there,
and `up --wait` is a loop of ours.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import httpx
import psycopg
import pytest
import yaml

from service.demo.servers import free_port
from tests.foreign import compose_images
from tests.system import ROOT, System

ENGINE = Path(os.environ.get("NEWSZOP_TEST_ENGINE", "/var/tmp/newszop-engine"))
"""Where an engine of the tests' own keeps its images from one run to the next."""
STANDINS_HOST = "10.77.0.250"
CONTROL_PORT = 9000
ADMIN = "ada@news.example"
WORKERS = ("worker-urgent", "worker-normal", "strangers")
PARTS = ("postgres", "redis", "api", "proxy", *WORKERS, "beat")
HEALTHY_S = 180.0
START_S = 20.0
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")
_COMPOSE_1 = "docker-compose version 1"


class Engine:
    """The engine there is, or one of our own that ends with this object."""

    def __init__(self) -> None:
        self._daemon: subprocess.Popen[bytes] | None = None
        if not self._answers():
            self._start()
        self.compose = self._compose()

    def _answers(self) -> bool:
        return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0

    def _start(self) -> None:
        if os.getuid() != 0 or shutil.which("dockerd") is None:
            pytest.skip("no Docker engine here (Debian has a package of it)")
        ENGINE.mkdir(parents=True, exist_ok=True)
        socket = f"unix://{ENGINE}/docker.sock"
        folders = ("--data-root", ENGINE / "data", "--exec-root", ENGINE / "exec")
        log = (ENGINE / "log").open("wb")
        command = ["dockerd", *folders, "--pidfile", ENGINE / "pid", "--host", socket]
        self._daemon = subprocess.Popen(command, stdout=log, stderr=log)
        os.environ["DOCKER_HOST"] = socket
        until = time.monotonic() + START_S
        while not self._answers():
            if self._daemon.poll() is not None or time.monotonic() > until:
                self.close()
                pytest.skip(f"no Docker engine can run here: see {ENGINE}/log")
            time.sleep(0.2)

    def _compose(self) -> list[str]:
        for command in (["docker", "compose"], ["docker-compose"]):
            if shutil.which(command[0]) is None:
                continue
            answer = subprocess.run(
                [*command, "version"], capture_output=True, text=True, check=False
            )
            if answer.returncode == 0:
                self.is_compose_1 = answer.stdout.startswith(_COMPOSE_1)
                return command
        self.close()
        pytest.skip("no Compose here (Debian: apt-get install docker-compose)")

    def close(self) -> None:
        """End the engine if it is ours."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(60)
            del os.environ["DOCKER_HOST"]


class ComposeStack(System):
    """The services of the file. A context manager; what the engine keeps of it is removed."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        super().__init__()
        self.engine_commands = engine
        self.project = folder / "newszop"
        self.url = f"http://127.0.0.1:{self.port}"
        self.control_port, self.database_port = free_port(), free_port()
        self.name = f"newszop{secrets.token_hex(3)}"

    def _start_parts(self) -> None:
        compose_images.build_images(self.folder)
        self._lay_out()
        self.compose("build", "migrate", seconds=1200)
        self._start_standins()
        began_at = time.monotonic()
        self.up()
        self.seconds_until_healthy = time.monotonic() - began_at
        self.servers = SimpleNamespace(database_url=self._database_url())
        self.control = httpx.Client(base_url=f"http://127.0.0.1:{self.control_port}", timeout=60)
        self.key = self._add_key()
        self.api = httpx.Client(
            base_url=self.url, timeout=30, headers={"Authorization": f"Bearer {self.key}"}
        )

    def close(self) -> None:
        """Stop everything and remove it."""
        self.compose("down", "--volumes", "--timeout", "5", is_checked=False)
        super().close()

    def _lay_out(self) -> None:
        """Make the folder that the head of the file describes."""
        for name in ("service", "workers"):
            shutil.copytree(ROOT / name, self.project / name, ignore=_IGNORED)
        for name in ("pyproject.toml", "README.md", "requirements.lock"):
            shutil.copy(ROOT / name, self.project)
        for name in ("secrets", "keys", "standins"):
            (self.project / name).mkdir()
        os.chown(self.project / "standins", 10001, 10001)
        for name in ("postgres", "redis", "secret_key", "metrics"):
            (self.project / "secrets" / name).write_text(secrets.token_hex(32))
        document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        document["services"]["proxy"]["ports"] = [f"127.0.0.1:{self.port}:8080"]
        if self.engine_commands.is_compose_1:
            for service in document["services"].values():
                if "env_file" in service:
                    service["env_file"] = [each["path"] for each in service["env_file"]]
        (self.project / "docker-compose.yml").write_text(yaml.safe_dump(document))
        override = {"services": self._additions(document["services"])}
        (self.project / "docker-compose.override.yml").write_text(yaml.safe_dump(override))
        self._write_env({})

    def _additions(self, services: dict[str, Any]) -> dict[str, Any]:
        """Return what the test adds: where to build, the stand-ins, a port of the database."""
        build = {"args": {"BASE": compose_images.BASE}, "network": "host"}
        keys = {"volumes": ["./standins:/standins:ro"]}
        standins = {
            "image": services["api"]["image"],
            "command": ["standins", "--port", str(CONTROL_PORT), "--data", "/standins"],
            "environment": {"STANDINS_HOST": STANDINS_HOST},
            "volumes": ["./standins:/standins"],
            "ports": [f"127.0.0.1:{self.control_port}:{CONTROL_PORT}"],
            "networks": {"default": {"ipv4_address": STANDINS_HOST}},
        }
        return {
            "migrate": {"build": build} | keys,
            "postgres": {"ports": [f"127.0.0.1:{self.database_port}:5432"]},
            "standins": standins,
        } | dict.fromkeys(("api", *WORKERS, "beat"), keys)

    def _write_env(self, settings: dict[str, str]) -> None:
        lines = settings | {"NEWSZOP_PROVIDERS": "apns,fcm", "NEWSZOP_UNDO_SECONDS": "0"}
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        (self.project / ".env").write_text(text)

    def _start_standins(self) -> None:
        self.compose("up", "-d", "standins")
        until = time.monotonic() + START_S
        while not (line := re.search(r"\{.*\}", self.logs("standins"))):
            assert time.monotonic() < until, self.logs("standins")
            time.sleep(0.2)
        announcement = json.loads(line[0])
        ours = {
            name: value
            for name, value in announcement["credentials"].items()
            if name.startswith(("APNS_", "FCM_"))
        }
        self._write_env(ours | {"NEWSZOP_CA_FILE": announcement["ca_file"]})

    def _database_url(self) -> str:
        password = (self.project / "secrets/postgres").read_text()
        return f"postgresql://newszop:{password}@127.0.0.1:{self.database_port}/newszop"

    def _add_key(self) -> str:
        scopes = ("stories:write", "alerts:write", "admin")
        options = [word for scope in scopes for word in ("--scope", scope)]
        answer = self.compose("exec", "-T", "api", "newszop", "key", "add", "tests", *options)
        found = re.search(r"nzp_\S+", answer)
        assert found, answer
        return found[0]

    # ---- what an operator does -----------------------------------------------------------------

    def compose(self, *words: str, seconds: float = 300, is_checked: bool = True) -> str:
        """Run a command of Compose in the project; returns what it prints."""
        answer = subprocess.run(
            [*self.engine_commands.compose, "--project-name", self.name, *words],
            cwd=self.project,
            env=os.environ
            | {
                "NEWSZOP_ADMIN_EMAIL": ADMIN,
                "NEWSZOP_PUBLIC_URL": self.url,
                "NEWSZOP_PROVIDERS": "apns,fcm",
                "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0"),
            },
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert answer.returncode == 0 or not is_checked, f"{words}: {answer.stderr[-3000:]}"
        return answer.stdout

    def up(self, *scale: str) -> None:
        """`up --wait`."""
        if not self.engine_commands.is_compose_1:
            self.compose("up", "--detach", "--wait", *scale)
            return
        self.compose("up", "--detach", *scale)
        self.await_true(self.is_healthy, "all is healthy", HEALTHY_S, lambda: str(self.states()))

    def is_healthy(self) -> bool:
        """Whether every container runs and none is unhealthy."""
        states = self.states()
        return bool(states) and all(
            state in ("running", "running healthy")
            or (name.startswith("migrate") and state == "exited 0")
            for name, state in states.items()
        )

    def states(self) -> dict[str, str]:
        """Return how each container is, by the name of its service."""
        states = {}
        for identity in self.containers():
            details = self._inspect(identity)
            state, labels = details["State"], details["Config"]["Labels"]
            word = state["Status"]
            if word == "running" and "Health" in state:
                word += f" {state['Health']['Status']}"
            if word == "exited":
                word += f" {state['ExitCode']}"
            states[f"{labels['com.docker.compose.service']} {identity[:6]}"] = word
        return states

    def containers(self, service: str = "") -> list[str]:
        """Return the ids of the containers of a service, or of all."""
        return self.compose("ps", "-a", "-q", *([service] if service else [])).split()

    def crash(self, service: str) -> None:
        """Kill the process of a service's container, as the kernel would; its engine goes on.

        (`docker kill` counts as a wish of the operator's, after which nothing is started again.)
        """
        for identity in self.containers(service):
            os.kill(self._inspect(identity)["State"]["Pid"], 9)

    def logs(self, service: str) -> str:
        """Return what a service has written."""
        return self.compose("logs", "--no-color", service)

    def log_lines(self, service: str) -> list[str]:
        """Return what the containers of a service have written, line by line."""
        lines = []
        for identity in self.containers(service):
            answer = subprocess.run(["docker", "logs", identity], capture_output=True, check=True)
            lines += (answer.stdout + answer.stderr).decode().splitlines()
        return lines

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.servers.database_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def _inspect(self, identity: str) -> dict[str, Any]:
        answer = subprocess.run(["docker", "inspect", identity], capture_output=True, check=True)
        return dict(json.loads(answer.stdout)[0])

    def __enter__(self) -> Self:
        """Build, start, and wait until all is healthy."""
        super().__enter__()
        return self
