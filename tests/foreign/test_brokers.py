"""An alert over each broker, and over each way to the database, that operators have.

BROKER_DEVICES is how many devices each alert has (2,000; by hand 100,000). With `-s` the last lines
are a table of what the setups took, beside each other. From 100,000 on the usual setup is measured
again before each other one: so a rate can be compared although the machine does other things.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from tests.foreign.recovery import await_finish
from tests.journeys.people import People
from tests.store.replication import Pair
from tests.system import System

DEVICES = int(os.environ.get("BROKER_DEVICES", "2000"))
pytestmark = [
    pytest.mark.foreign,
    pytest.mark.xdist_group("brokers"),
    pytest.mark.timeout(240 + DEVICES / 50),
]
IS_FULL = DEVICES >= 100_000
WITHIN_S = 60 + DEVICES / 500
SLOW_MS = 1000
"""Answers so late that an alert of any size has a middle."""
PROGRAMS = ("service", "worker-urgent", "worker", "beat")


USUAL = "Valkey, PostgreSQL directly"
HEAD = ("setup", "pushes/s", "of the usual one's", "until the end", "recovery", "lost", "twice")


@dataclass
class Figures:
    """What one alert took in each setup; `usual_rate` is that of the usual one just before."""

    people: People
    usual_rate: float = 0.0
    lines: list[str] = field(default_factory=list)

    def add(
        self, setup: str, report: dict[str, Any], pushes: dict[str, int], pause_s: float | None
    ) -> None:
        """Note one alert; nothing of it may be lost or doubled.

        `pause_s` is how long it stood still after a failover in its middle: its rate says nothing.
        """
        seconds, accepted = report["timing"]["last_ms"] / 1000, report["totals"]["accepted"]
        lost, doubles = accepted - pushes["devices"], pushes["count"] - pushes["devices"]
        rate = accepted / max(seconds, 0.001)
        if setup == USUAL:
            self.usual_rate = rate
        share = f"{rate / self.usual_rate:.2f}" if pause_s is None else "-"
        recovery = "-" if pause_s is None else f"{pause_s:.1f} s"
        row = (setup, f"{rate:,.0f}", share, f"{seconds:.1f} s", recovery, str(lost), str(doubles))
        self.lines.append(f"| {' | '.join(row)} |")
        print(self.lines[-1])
        assert (report["state"], report["totals"]["planned"]) == ("finished", DEVICES)
        assert (accepted, lost, doubles) == (DEVICES, 0, 0)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System(NEWSZOP_LOG_LEVEL="warning") as running:
        yield running


@pytest.fixture(scope="module")
def figures(system: System) -> Iterator[Figures]:
    people = People(system)
    people.crowd({"apns": DEVICES // 2, "fcm": DEVICES - DEVICES // 2})
    kept = Figures(people)
    yield kept
    print("\n".join(["", f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *kept.lines]))


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


def send(system: System, figures: Figures, setup: str) -> None:
    """A breaking alert to a few and a normal one to the crowd reach every device once."""
    few = People(system)
    few.crowd({"apns": 20, "fcm": 20})
    story = system.ingest(topics=[few.topic])
    assert system.finished(system.send(story, urgency="breaking"))["totals"]["accepted"] == 40
    alert = begin(system, figures)
    end(system, figures, setup, alert)


def send_as_usual(system: System, figures: Figures) -> None:
    """At the full size measure the usual setup again, just before another one."""
    if IS_FULL:
        restart(
            system,
            BROKER_URL="",
            REDIS_URL=system.servers.redis_url,
            DATABASE_URL=system.servers.database_url,
            NEWSZOP_DB_POOLER="false",
        )
        send(system, figures, USUAL)


def begin(system: System, figures: Figures) -> dict[str, Any]:
    return system.send(system.ingest(topics=[figures.people.topic]))


def end(system: System, figures: Figures, setup: str, alert: dict[str, Any]) -> None:
    report = system.finished(alert, within_s=WITHIN_S)
    figures.add(setup, report, system.pushes(alert_id=alert["id"], limit=1), None)
    system.control.delete("/control/pushes").raise_for_status()


def send_through(
    system: System, figures: Figures, setup: str, fail_over: Callable[[], None]
) -> None:
    """An alert in whose middle a server fails over reaches every device once."""
    system.weather(latency_ms=SLOW_MS)
    alert = begin(system, figures)
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] > DEVICES // 20, "it is the middle"
    )
    fail_over()
    pause_s = await_finish(system, alert, WITHIN_S)
    pushes = system.pushes(alert_id=alert["id"], limit=1)
    figures.add(setup, system.alert(alert), pushes, pause_s)
    system.control.delete("/control/pushes").raise_for_status()
    system.control.delete("/control/weather").raise_for_status()


def queue_lengths(system: System) -> dict[str, int | None]:
    queues = system.answer("GET", "/api/admin/queues")["queues"]
    return {each["name"]: each["messages"] for each in queues}


def missing(system: System) -> list[str]:
    return list(system.api.get("/health/ready").json()["missing"])


def test_alerts_go_out_over_the_valkey_of_the_tests(system, figures):
    send(system, figures, USUAL)


def test_alerts_go_out_over_rabbitmq_with_quorum_queues(system, figures, tmp_path):
    with run_rabbit(tmp_path) as rabbit:
        restart(system, BROKER_URL=rabbit.url)
        send(system, figures, "RabbitMQ, quorum queues")
        system.await_true(
            lambda: set(queue_lengths(system).values()) <= {0, 1, 2}, "the messages are taken"
        )
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
        send(system, figures, "RabbitMQ, after an alarm and a restart of the workers")


def test_alerts_go_out_over_sentinels_also_with_a_failover_in_the_middle(system, figures, site):
    send_as_usual(system, figures)
    with run_sentinels(site) as sentinels:
        restart(system, BROKER_URL="", REDIS_URL=sentinels.url)
        send(system, figures, "three Sentinels")
        setup = f"three Sentinels, failover in the middle, answers after {SLOW_MS} ms"
        send_through(system, figures, setup, sentinels.fail_over)
        system.await_true(system._ready, "it is ready again", 30)
        send(system, figures, "three Sentinels, after the failover")


def test_alerts_go_out_over_a_redis_that_speaks_tls_only(system, figures, site):
    send_as_usual(system, figures)
    url = run_redis_over_tls(site)
    restart(system, BROKER_URL="", REDIS_URL=url)
    send(system, figures, "Redis, TLS")
    unverified = open_queues(
        url.replace(str(site.certificate), "/etc/ssl/certs/ca-certificates.crt"), 1
    )
    assert "cannot be reached" in (unverified.explain_refusal() or "")


def test_alerts_go_out_behind_a_transaction_pooler(system, figures, site):
    send_as_usual(system, figures)
    url = run_pooler(site, system.servers.database_url)
    restart(
        system,
        BROKER_URL="",
        REDIS_URL=system.servers.redis_url,
        DATABASE_URL=url,
        NEWSZOP_DB_POOLER="true",
    )
    send(system, figures, "Valkey, PostgreSQL behind pgbouncer (transactions)")


def test_alerts_go_out_beside_a_replica_and_through_a_failover_of_postgresql(
    system, figures, tmp_path
):
    """The last test of the file: the database is another server's afterwards."""
    send_as_usual(system, figures)
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
        send(system, figures, "Valkey, PostgreSQL with a streaming replica")
        reads = re.search(
            r'newszop_replica_reads_total\{source="replica"\} ([0-9.]+)',
            system.api.get("/metrics").text,
        )
        assert reads is not None
        assert float(reads[1]) > 0
        pair.wait_for_replica()
        setup = f"PostgreSQL, failover of the primary, answers after {SLOW_MS} ms"
        send_through(system, figures, setup, pair.fail_over)
    finally:
        system.control.delete("/control/weather")
        pair.replica.discard()
