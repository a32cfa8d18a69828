"""The servers from wheels: they start, survive a kill, and end with their parent process."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from service.demo.postgres import may_enter
from service.demo.servers import (
    AlreadyRunning,
    EmbeddedServers,
    read_or_create_secret,
    run_temporarily,
)
from service.store.migrate import migrate

STARTER = """
import sys, time
from service.demo.servers import EmbeddedServers
servers = EmbeddedServers(sys.argv[1], fast=True)
servers.start()
print(servers.postgres.child.pid, servers.redis.child.pid, servers.database_url, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def servers():
    with run_temporarily() as embedded:
        yield embedded


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in rows}


def ends(pid: int, within_s: float = 20) -> bool:
    """Whether the process ends in time; a zombie that nobody has collected has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_what_was_committed_survives_a_kill_on_the_same_port(servers):
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE committed (n int)")
    servers.postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(servers.database_url)
    servers.postgres.start()
    assert "committed" in tables(servers.database_url)


def test_redis_comes_back_empty_on_the_same_port(servers):
    client = redis.Redis.from_url(servers.redis_url)
    client.set("lost", 1)
    servers.redis.kill()
    servers.redis.start()
    assert redis.Redis.from_url(servers.redis_url).get("lost") is None


def test_nobody_gets_in_without_the_password(servers):
    port = servers.postgres.port
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/newszop")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=servers.redis.port).ping()


RIGHTS = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"


def test_the_system_owns_its_database_and_is_no_superuser(servers):
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        query = f"SELECT current_user, {RIGHTS} FROM pg_roles WHERE rolname = current_user"
        assert connection.execute(query).fetchone() == ("newszop", False)
        for statement in ("COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('PG_VERSION')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(servers.database_url.removesuffix("newszop") + "postgres")


def test_a_folder_of_before_is_handed_over_with_its_tables(tmp_path):
    mine = EmbeddedServers(tmp_path, fast=True)
    try:
        mine.start()
        superuser = mine.postgres.server_url
        with psycopg.connect(f"{superuser}/postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE newszop")
            connection.execute("DROP ROLE newszop")
            connection.execute("CREATE DATABASE newszop")
        migrate(f"{superuser}/newszop")  # all as the release of before left it
        (tmp_path / "database.password").unlink()
        mine.stop()
        mine = EmbeddedServers(tmp_path, fast=True)
        mine.start()
        with psycopg.connect(mine.database_url) as connection:
            connection.execute("ALTER TABLE audit DISABLE TRIGGER USER")
            connection.execute("ALTER TABLE device ADD COLUMN of_the_next_release int")
            connection.execute("DROP FUNCTION refuse_change CASCADE")
    finally:
        mine.discard()


def test_both_listen_on_loopback_only(servers):
    for port in (servers.postgres.port, servers.redis.port):
        with socket.socket(socket.AF_INET) as outside:
            outside.bind(("127.0.0.2", port))  # free, or this raises


def test_the_password_is_for_its_owner_only(servers):
    assert (servers.folder / "servers.password").stat().st_mode & 0o077 == 0


def test_a_folder_is_used_by_one_process_at_a_time(servers):
    with pytest.raises(AlreadyRunning, match="running already"):
        EmbeddedServers(servers.folder).start()
    assert servers.postgres.child.is_running()


def test_both_end_with_the_process_that_started_them_and_start_again(tmp_path):
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        postgres, valkey, url = holder.stdout.readline().split()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        holder.send_signal(signal.SIGKILL)
    again = EmbeddedServers(tmp_path, fast=True)
    try:
        again.start()  # the earlier servers may still be ending
        assert tables(again.database_url) == {"kept"}
        assert ends(int(postgres))
        assert ends(int(valkey))
    finally:
        again.discard()


def test_a_stale_pid_file_with_the_number_of_another_process_is_ignored(tmp_path):
    mine = EmbeddedServers(tmp_path, fast=True)
    try:
        mine.start()
        mine.postgres.kill()
        pid_file = mine.postgres._existing_home() / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        lines[0] = str(os.getpid())  # reused by a process that is no PostgreSQL
        pid_file.write_text("\n".join(lines) + "\n")
        mine.postgres.start()
        assert tables(mine.database_url) == set()
    finally:
        mine.discard()


def test_discarding_leaves_nothing_behind(tmp_path):
    short_lived = EmbeddedServers(tmp_path, fast=True)
    short_lived.start()
    cluster = short_lived.postgres._existing_home()
    pid = short_lived.postgres.child.pid
    assert cluster.is_dir()
    short_lived.discard()
    assert not cluster.exists()
    assert ends(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start PostgreSQL as somebody else")
def test_roots_postgresql_has_an_account_that_nobody_else_has(servers):
    account = Path(f"/proc/{servers.postgres.child.pid}").stat().st_uid
    assert account not in {entry.pw_uid for entry in pwd.getpwall()}
    assert (servers.postgres._existing_home() / "data").stat().st_uid == account
    commands = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if process.stat().st_uid == account:
                commands.add((process / "comm").read_text().strip())
    assert commands == {"postgres"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start PostgreSQL as somebody else")
def test_a_folder_closed_to_others_stays_closed(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    servers = EmbeddedServers(closed / "data", fast=True)
    try:
        servers.start()
        cluster = servers.postgres._existing_home()
        assert not cluster.is_relative_to(closed)
        assert cluster.stat().st_mode & 0o077 == 0
        assert closed.stat().st_mode & 0o777 == 0o700
        assert not may_enter(65534, closed)
    finally:
        servers.discard()


def test_a_secret_is_created_once(tmp_path):
    secrets = iter(("first", "second"))
    path = tmp_path / "secret"
    assert (
        read_or_create_secret(path, lambda: next(secrets))
        == read_or_create_secret(path, lambda: next(secrets))
        == "first"
    )
    assert path.stat().st_mode & 0o077 == 0
