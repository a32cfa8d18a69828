"""A broker that refuses every write, or has messages that nobody can read: a real one, and a real
worker before it."""

import base64
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import Engine

from service.broker.celery_options import celery_options
from service.demo import programs
from service.demo.servers import free_port
from service.demo.valkey import Redis
from service.outbox import CeleryBroker, Message, plan_alert
from service.settings import new_secret
from service.store.schema import AlertRow
from service.store.session import transaction
from tests.builders import a_story, an_alert
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


def a_message(task: object, *args: object, **changes: object) -> str:
    """Return a message as kombu writes it to Redis; None takes a part away."""
    body = base64.b64encode(json.dumps([args, {}, {}]).encode()).decode()
    head = {"lang": "py", "task": task, "id": "1", "root_id": "1", "parent_id": None, "group": None}
    properties = {
        "correlation_id": "1",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "normal"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": "1",
    }
    parts = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": head | dict(changes.pop("head", {})),
        "properties": properties | dict(changes.pop("properties", {})),
    } | changes
    return json.dumps({name: part for name, part in parts.items() if part is not None})


TASKS = ("plan_alert", "fan_out_shard", "deliver", "sweep")
WRONG_ARGUMENTS = ((), ("x",), (None,), ({},), (10**30, -1), (1, 2, 3))
BROKEN = [
    *("", "nonsense", "{", "[]", "null", "7", "{}", '"text"', b"\xff\xfe\x00", "[" * 100_000),
    *(a_message(task, *wrong) for task in TASKS for wrong in WRONG_ARGUMENTS),
    *(a_message(task) for task in ("no.such.task", "", 7, None, [], {"a": 1})),
    *(a_message("sweep", body=body) for body in ("", "???", "bm9uc2Vuc2U=", 7, "e30=", None)),
    *(a_message("sweep", **{"content-type": kind}) for kind in ("application/x-python-serialize",)),
    *(a_message("sweep", **{"content-type": kind}) for kind in ("application/x-yaml", "x", 7, [])),
    *(a_message("sweep", **{"content-encoding": coding}) for coding in ("nonsense", 7, [])),
    *(a_message("sweep", headers=head) for head in (None, [], 7, "text", {})),
    *(a_message("sweep", properties={"body_encoding": coding}) for coding in ("rot13", 7, [])),
    a_message("sweep", properties={"delivery_info": None, "delivery_tag": None}),
    a_message("sweep", properties={"delivery_tag": {"a": 1}}),
    *(
        a_message("sweep", head={"eta": moment})
        for moment in ("never", 7, "0001-01-01T00:00+14:00")
    ),
    *(a_message("sweep", head={"expires": moment}) for moment in ("never", [], "9999-12-31")),
    *(a_message("sweep", head={"timelimit": limit}) for limit in ("x", 7, ["x", "y"], [-1, {}])),
    a_message("sweep", head={"request_id": {"a": "1"}, "traceparent": 7, "retries": "many"}),
    a_message("sweep", head={"compression": "zlib"}),
    a_message("sweep", "x" * 4_000_000),
]
"""Messages that are no JSON, that lack what every message has, or have it in another type."""


def plans_an_alert(engine: Engine, url: str) -> bool:
    """Whether a worker carries out a sound message."""
    with transaction(engine) as session:
        alert_id = an_alert(session, a_story(session)).id
    CeleryBroker(url).send(plan_alert(alert_id, "normal"))

    def is_planned() -> bool:
        with transaction(engine) as session:
            return session.get_one(AlertRow, alert_id).state != "planning"

    await_true(is_planned, RECOVERY_S)
    return True


def test_a_broken_message_ends_no_worker(worker, client, url, engine):
    is_consumed(client, url)
    before = len(worker.log.read_bytes())
    for message in BROKEN:
        client.lpush("normal", message)
    await_true(lambda: client.llen("normal") == 0, RECOVERY_S)
    assert plans_an_alert(engine, url)
    assert worker.poll() is None
    lines = worker.log.read_bytes()[before:]
    assert b"the broker refuses" not in lines
    assert b"WorkerLostError" not in lines
    assert b"a broken message is dropped" in lines


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
