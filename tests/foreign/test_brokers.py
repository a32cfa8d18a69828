"""An alert over each broker, and over each way to the database, that operators have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.broker.message_queues import open_queues
from service.outbox import CeleryBroker, Message
from tests.foreign.broker_servers import (
    run_pooler,
    run_rabbit,
    run_redis_over_tls,
    run_sentinels,
)
from tests.foreign.foreign_server import Site
from tests.journeys.people import People
from tests.system import System

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("brokers")]
DEVICES = {"apns": 1500, "fcm": 500}
PROGRAMS = ("service", "worker-urgent", "worker", "beat")


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System() as running:
        yield running


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as running:
        yield running


def restart(system: System, **settings: str) -> None:
    """Start the programs again with other settings."""
    for name in PROGRAMS:
        if name in system.running:
            system.kill(name)
    system.environment |= settings
    with system.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM worker")
    for name in PROGRAMS:
        system.start(name)
    system.await_true(system._ready, "the service is ready", 30, lambda: system.log("service"))
    system.await_true(
        lambda: system._count_workers() == 2, "both workers live", 30, lambda: system.log("worker")
    )


def send_two(system: System) -> None:
    """A breaking alert and a normal one reach every device once."""
    people = People(system)
    people.crowd(DEVICES)
    for urgency in ("breaking", "normal"):
        story = system.ingest(topics=[people.topic])
        report = system.finished(alert := system.send(story, urgency=urgency))
        total = sum(DEVICES.values())
        assert report["state"] == "finished"
        assert report["totals"]["planned"] == report["totals"]["accepted"] == total
        assert system.pushes(alert_id=alert["id"])["count"] == total


def queue_lengths(system: System) -> dict[str, int | None]:
    queues = system.answer("GET", "/api/admin/queues")["queues"]
    return {each["name"]: each["messages"] for each in queues}


def missing(system: System) -> list[str]:
    return list(system.api.get("/health/ready").json()["missing"])


def test_alerts_go_out_over_rabbitmq_with_quorum_queues(system, tmp_path):
    with run_rabbit(tmp_path) as rabbit:
        restart(system, BROKER_URL=rabbit.url)
        send_two(system)
        assert set(queue_lengths(system).values()) <= {0, 1, 2}
        system.kill("worker")
        system.kill("worker-urgent")
        CeleryBroker(rabbit.url).send(Message("sweep", "normal", ()))
        system.await_true(lambda: (queue_lengths(system)["normal"] or 0) >= 1, "a message waits")
        rabbit.alarm(True)
        system.await_true(lambda: missing(system) == ["RabbitMQ"], "it takes no messages", 20)
        assert missing(system) == missing(system) == ["RabbitMQ"]
        rabbit.alarm(False)
        system.await_true(system._ready, "it is ready again", 20)
        system.start("worker")
        system.start("worker-urgent")
        send_two(system)


def test_alerts_go_out_over_sentinels_also_after_a_failover(system, site):
    setup = run_sentinels(site)
    with setup as sentinels:
        restart(system, BROKER_URL="", REDIS_URL=sentinels.url)
        send_two(system)
        sentinels.fail_over()
        system.await_true(system._ready, "it is ready again", 30)
        send_two(system)


def test_alerts_go_out_over_a_redis_that_speaks_tls_only(system, site):
    url = run_redis_over_tls(site)
    restart(system, BROKER_URL="", REDIS_URL=url)
    send_two(system)
    unverified = open_queues(
        url.replace(str(site.certificate), "/etc/ssl/certs/ca-certificates.crt"), 1
    )
    assert "cannot be reached" in (unverified.explain_refusal() or "")


def test_alerts_go_out_behind_a_transaction_pooler(system, site):
    url = run_pooler(site, system.servers.database_url)
    restart(
        system,
        BROKER_URL="",
        REDIS_URL=system.servers.redis_url,
        DATABASE_URL=url,
        NEWSZOP_DB_POOLER="true",
    )
    send_two(system)
