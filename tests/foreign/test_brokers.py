"""An alert over each broker, and over each way to the database, that operators have."""

import re
import time
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
from tests.store.replication import Pair
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


def test_alerts_go_out_beside_a_replica_and_through_a_failover_of_postgresql(system, tmp_path):
    """The last test of the file: the database is another server's afterwards."""
    pair = Pair(tmp_path, system.servers.postgres)
    try:
        for name in PROGRAMS:
            system.kill(name)
        system.engine.dispose()
        pair.start()
        restart(
            system,
            BROKER_URL="",
            REDIS_URL=system.servers.redis_url,
            DATABASE_URL=pair.both_url,
            DATABASE_REPLICA_URL=pair.replica.database_url,
            NEWSZOP_DB_POOLER="false",
        )
        send_two(system)
        reads = re.search(
            r'newszop_replica_reads_total\{source="replica"\} ([0-9.]+)',
            system.api.get("/metrics").text,
        )
        assert reads is not None
        assert float(reads[1]) > 0
        pair.wait_for_replica()
        people = People(system)
        people.crowd({"apns": 15_000, "fcm": 5_000})
        system.weather(latency_ms=300)
        alert = system.send(system.ingest(topics=[people.topic]))
        system.await_true(
            lambda: system.alert(alert)["totals"]["accepted"] > 1000, "a part is accepted"
        )
        begin = time.monotonic()
        pair.fail_over()
        totals = system.finished(alert, 120)["totals"]
        pushes = system.pushes(alert_id=alert["id"])
        print(
            f"\nfailover: ended {time.monotonic() - begin:.1f} s after it, {totals}, "
            f"{pushes['count']} pushes on {pushes['devices']} devices"
        )
        assert totals["planned"] == totals["accepted"] == pushes["devices"] == 20_000
        assert pushes["count"] == pushes["devices"]
    finally:
        system.control.delete("/control/weather")
        pair.replica.discard()
