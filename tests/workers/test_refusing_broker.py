"""A broker that is there and refuses every write: a real one, and a real worker before it."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from service.broker.celery_options import celery_options
from service.demo import programs
from service.demo.servers import free_port
from service.demo.valkey import Redis
from service.outbox import CeleryBroker, Message
from service.settings import new_secret
from tests.redis_refusals import REFUSALS, refusal, refuse_as_a_replica
from workers.beat import app as beat_app
from workers.upkeep.sweep_beat import MonotonicScheduler

REFUSAL_S = 4.0
RECOVERY_S = 60.0
"""How long a worker may take on a busy machine, its start included; it takes a second or two."""
PASSWORD = "a password of the tests"


def await_true(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    folder = tmp_path_factory.mktemp("broker")
    own = Redis(folder / "data", folder, free_port(), PASSWORD.replace(" ", "-"))
    own.start()
    yield own
    own.stop()


@pytest.fixture(scope="module")
def url(server: Redis) -> str:
    return f"{server.server_url}/0"


@pytest.fixture(scope="module")
def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


@pytest.fixture(scope="module")
def worker(
    url: str, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    log = tmp_path_factory.mktemp("worker") / "log"
    environment = {
        "PATH": "",
        "DATABASE_URL": database_url,
        "REDIS_URL": url,
        "NEWSZOP_SECRET_KEY": new_secret(),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            programs.worker("tests", ("urgent", "normal"), 1).command,
            env=programs.environment(environment),
            stdout=out,
            stderr=out,
        )
    process.log = log
    yield process
    process.terminate()
    process.wait(20)


def is_consumed(client: redis.Redis, url: str) -> None:
    """Wait until a worker takes a new message."""
    CeleryBroker(url).send(Message("sweep", "normal", ()))
    await_true(lambda: client.llen("normal") == 0, RECOVERY_S)


@pytest.mark.parametrize("refuse", REFUSALS, ids=lambda refuse: refuse.__name__)
def test_a_worker_outlives_a_broker_that_refuses_writes(worker, client, url, refuse):
    is_consumed(client, url)
    lines = worker.log.read_bytes().count(b"\n")
    with refusal(client, refuse):
        with pytest.raises(redis.ResponseError):
            client.set("a", "write")
        time.sleep(REFUSAL_S)
        assert worker.poll() is None
    is_consumed(client, url)
    assert worker.poll() is None
    assert worker.log.read_bytes().count(b"\n") - lines < 60


def connections(client: redis.Redis) -> set[str]:
    return {each["id"] for each in client.client_list()}


@pytest.fixture
def message_sender(url: str) -> Callable[[], None]:
    broker = CeleryBroker(url)

    def send() -> None:
        with suppress(redis.RedisError, OperationalError):
            broker.send(Message("sweep", "urgent", ()))

    return send


@pytest.fixture
def beat(url: str) -> Callable[[], object]:
    app = Celery("beat", broker=url, set_as_current=False)
    app.conf.beat_schedule = beat_app.conf.beat_schedule
    scheduler = MonotonicScheduler(app)

    def tick() -> object:
        scheduler._next_send = 0
        return scheduler.tick()

    return tick


@pytest.mark.parametrize("sender", ["message_sender", "beat"])
def test_after_a_refusal_a_message_takes_a_new_connection(request, client, sender):
    send = request.getfixturevalue(sender)
    send()
    before = connections(client)
    with refusal(client, refuse_as_a_replica):
        send()
    send()
    assert connections(client) - before
    assert len(connections(client)) <= len(before)


def test_a_worker_asks_a_silent_broker_whether_it_is_there(url: str) -> None:
    app = Celery("silence", set_as_current=False)
    app.conf.update(celery_options(url, connect_s=2, answer_s=5))
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        reader = channel.async_pool.make_connection()
        reader.connect()
        options = {
            name: reader._sock.getsockopt(socket.IPPROTO_TCP, name)
            for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        }
        assert reader._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        reader.disconnect()
    assert list(options.values()) == [5, 2, 3]
