"""A PostgreSQL with a streaming replica, which can lag, end, and take the primary's place."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from service.demo.postgres import Postgres
from service.demo.servers import free_port

REPLICATED = {"wal_level": "replica", "max_wal_senders": "4", "hot_standby": "on"}
SMALL = {"shared_buffers": "32MB", "min_wal_size": "64MB"}


def new_server(folder: Path, password: str) -> Postgres:
    folder.mkdir()
    server = Postgres(folder, folder, free_port(), password, role_password=password, fast=True)
    server.settings = server.settings | REPLICATED | SMALL
    return server


class Pair:
    """A primary and its replica."""

    def __init__(self, folder: Path, primary: Postgres | None = None) -> None:
        self.is_used_up = False
        password = secrets.token_hex(16) if primary is None else primary.password
        self.primary = primary or new_server(folder / "primary", password)
        self.replica = new_server(folder / "replica", password)
        self.replica.role_password = self.primary.role_password

    @property
    def both_url(self) -> str:
        """URL of whichever of them takes writes."""
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.replica.port}"
        url = self.primary.database_url.replace(f"127.0.0.1:{self.primary.port}", hosts)
        return f"{url}?target_session_attrs=read-write"

    def start(self) -> None:
        self.primary.settings = self.primary.settings | REPLICATED
        self.primary.stop()
        self.primary.start()
        self.copy()
        self.run_replica()

    def copy(self) -> None:
        """Make the replica's cluster out of the primary's."""
        home, programs = self.replica._home(), self.replica._program_folder()
        command = [str(programs / "pg_basebackup"), "-D", str(home / "data"), "-R", "--no-sync"]
        command += ["-c", "fast", "-d", f"{self.primary.server_url}/postgres"]
        uid = self.replica.uid
        account = {} if uid is None else {"user": uid, "group": uid, "extra_groups": ()}
        subprocess.run(command, check=True, cwd="/", timeout=60, **account)

    def run_replica(self) -> None:
        server = self.replica
        options = [part for k, v in server.settings.items() for part in ("-c", f"{k}={v}")]
        program, cluster = server._program_folder() / "postgres", server._home() / "data"
        server.child.uid = server.uid
        server.child.command = [str(program), "-D", str(cluster), "-p", str(server.port), *options]
        server._launch()

    def wait_for_replica(self) -> None:
        """From now on a commit is answered when the replica has it."""
        with psycopg.connect(f"{self.primary.server_url}/postgres", autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")

    def fail_over(self) -> None:
        """End the primary at once, and let the replica take its place."""
        self.is_used_up = True
        self.primary.kill()
        assert self.tell_replica("SELECT pg_promote()") is True

    def tell_replica(self, statement: str) -> object:
        """Have the replica carry something out as its superuser."""
        url = f"{self.replica.server_url}/newszop"
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute(statement).fetchone()
            return row and row[0]

    def close(self) -> None:
        self.replica.discard()
        self.primary.discard()


@contextmanager
def run_pair(folder: Path) -> Iterator[Pair]:
    pair = Pair(folder)
    try:
        pair.start()
        yield pair
    finally:
        pair.close()
