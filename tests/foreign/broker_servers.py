"""Brokers and a pooler that nobody here wrote, each as a process of this test run."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from service.demo.servers import free_port
from service.demo.valkey import find_program
from tests.foreign.foreign_server import Site, require, stop

PASSWORD = "a/b#c@d"
"""As operators' passwords are."""
ENCODED = "a%2Fb%23c%40d"
RABBIT_START_S = 60.0


@dataclass
class Rabbit:
    """A RabbitMQ of this test's own; `alarm` makes it take no messages."""

    url: str
    alarm: Callable[[bool], None]


@contextmanager
def run_rabbit(folder: Path) -> Iterator[Rabbit]:
    """Start a broker with one user and one virtual host."""
    program = require("rabbitmq-server", "rabbitmq-server")
    port, node = free_port(), f"tests{os.getpid()}@localhost"
    configuration = folder / "rabbit.conf"
    configuration.write_text(
        f"listeners.tcp.local = 127.0.0.1:{port}\ndefault_user = news\n"
        f"default_pass = {PASSWORD.replace('#', 'x')}\nloopback_users = none\n"
    )
    # the wrappers of Debian change the user: the real programs stand in the package's library
    library = Path("/usr/lib/rabbitmq/bin")
    real = library / "rabbitmq-server" if library.exists() else Path(program)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RABBITMQ_NODENAME": node,
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
    }
    (folder / "plugins").write_text("[].")
    output = (folder / "rabbit.out").open("wb")
    process = subprocess.Popen([real], env=environment, stdout=output, stderr=output, cwd=folder)

    def control(*words: str) -> None:
        command = [real.with_name("rabbitmqctl"), "--node", node, *words]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)

    def set_alarm(on: bool) -> None:  # noqa: FBT001 - a switch
        control("set_vm_memory_high_watermark", "0" if on else "0.4")

    try:
        _await_rabbit(process, port, folder)
        password = ENCODED.replace("%23", "x")
        yield Rabbit(f"amqp://news:{password}@127.0.0.1:{port}//", set_alarm)
    finally:
        stop(process)
        subprocess.run(["epmd", "-kill"], env=environment, capture_output=True, check=False)


def _await_rabbit(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    from amqp import Connection  # noqa: PLC0415 - only here

    until = time.monotonic() + RABBIT_START_S
    while time.monotonic() < until:
        assert process.poll() is None, (folder / "rabbit.out").read_text()[-2000:]
        try:
            with Connection(
                f"127.0.0.1:{port}", "news", PASSWORD.replace("#", "x"), connect_timeout=2
            ):
                return
        except Exception:  # noqa: BLE001 - whatever a broker answers while it starts
            time.sleep(0.2)
    pytest.fail("RabbitMQ did not start")


@dataclass
class SentinelSetup:
    """A primary, a replica and three Sentinels; `fail_over` ends the primary by force."""

    url: str
    fail_over: Callable[[], None]


@contextmanager
def run_sentinels(site: Site) -> Iterator[SentinelSetup]:
    """Start them from the Valkey that the tests bring along."""
    program = str(find_program())
    ports = [free_port(), free_port()]
    for number, port in enumerate(ports):
        of = f"replicaof 127.0.0.1 {ports[0]}\n" if number else ""
        _run_valkey(site, program, f"server{number}", port, f'save ""\n{of}', ())
    sentinels = [free_port() for _ in range(3)]
    watch = (
        f"sentinel monitor news 127.0.0.1 {ports[0]} 2\n"
        f'sentinel auth-pass news "{PASSWORD}"\n'
        "sentinel down-after-milliseconds news 500\nsentinel failover-timeout news 3000\n"
    )
    for number, port in enumerate(sentinels):
        _run_valkey(site, program, f"sentinel{number}", port, watch, ("--sentinel",))
    primary = redis.Redis(port=ports[0], password=PASSWORD)
    sentinel = redis.Redis(port=sentinels[0], password=PASSWORD, decode_responses=True)
    _await(lambda: primary.info("replication")["connected_slaves"] == 1)
    _await(lambda: sentinel.sentinel_master("news")["num-other-sentinels"] == 2)
    _await(lambda: sentinel.sentinel_master("news")["num-slaves"] == 1)
    places = ",".join(f"127.0.0.1:{port}" for port in sentinels)

    def fail_over() -> None:
        with suppress(redis.RedisError):
            primary.shutdown(nosave=True)
        _await(lambda: sentinel.sentinel_master("news")["port"] == ports[1])

    yield SentinelSetup(
        f"sentinel://:{ENCODED}@{places}/0?master=news&sentinel_password={ENCODED}", fail_over
    )


def _run_valkey(
    site: Site, program: str, name: str, port: int, lines: str, options: tuple[str, ...]
) -> None:
    folder = site.folder / name
    folder.mkdir()
    login = f'requirepass "{PASSWORD}"\n'
    if not options:
        login += f'masterauth "{PASSWORD}"\n'
    else:
        login += f'sentinel sentinel-pass "{PASSWORD}"\n'
    configuration = site.write(
        f"{name}.conf", f'bind 127.0.0.1\nport {port}\ndir "{folder}"\n{lines}{login}'
    )
    site.port = port
    site.start([program, configuration, *options], site.folder / f"{name}.log")


def run_redis_over_tls(site: Site) -> str:
    """Start a Redis that speaks TLS only; returns its address with our certificate."""
    program = require("redis-server", "redis-server")
    options = {
        "bind": "127.0.0.1",
        "port": "0",
        "tls-port": str(site.port),
        "tls-cert-file": str(site.certificate),
        "tls-key-file": str(site.key),
        "tls-ca-cert-file": str(site.certificate),
        "tls-auth-clients": "no",
        "requirepass": PASSWORD,
        "save": "",
    }
    lines = "".join(f'{name} "{value}"\n' for name, value in options.items())
    site.start([program, site.write("redis.conf", lines)])
    return f"rediss://:{ENCODED}@localhost:{site.port}/0?ssl_ca_certs={site.certificate}"


def run_pooler(site: Site, database_url: str) -> str:
    """Start a pgbouncer in transaction mode before a server; returns the database's address."""
    program = require("pgbouncer", "pgbouncer")
    parts = urlsplit(database_url)
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(site.port),
        "unix_socket_dir": "",
        "auth_type": "plain",
        "auth_file": str(site.write("users.txt", f'"{parts.username}" "{parts.password}"\n')),
        "pool_mode": "transaction",
        "default_pool_size": "8",
        "max_client_conn": "200",
        "server_reset_query_always": "0",
    }
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    database = f"* = host=127.0.0.1 port={parts.port}\n"
    configuration = site.write("pooler.ini", f"[databases]\n{database}[pgbouncer]\n{lines}")
    command: list[str | Path] = [program, configuration]
    if os.getuid() == 0:  # it refuses to run as root
        for path in (site.folder, *site.folder.iterdir()):
            shutil.chown(path, "nobody")
        command[1:1] = ["-u", "nobody"]
        for parent in site.folder.parents:
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    site.start(command)
    return parts._replace(
        netloc=f"{parts.username}:{parts.password}@127.0.0.1:{site.port}"
    ).geturl()


def _await(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    until = time.monotonic() + within_s
    while True:
        with suppress(redis.RedisError):
            if condition():
                return
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)
