"""Servers that nobody named flood and hang; browsers of known services get their pushes meanwhile.

For figures set GOOD_PUSHES (60): both senders then meet every flood (those whose names contain
FLOOD, where it is set), and the time of the good pushes alone and beside them is printed, with the
memory of each worker.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from service.demo.demo_settings import join_certificates
from service.store.schema import new_id
from tests.journeys.people import People
from tests.system import System
from tests.workers.certificates import make_certificate
from tests.workers.h2_server import H2Server
from tests.workers.hostile_server import FLOODS, HostileServer

GOOD_PUSHES = int(os.environ.get("GOOD_PUSHES", "60"))
ROUNDS = 3 if 60 < GOOD_PUSHES <= 5_000 else 1
"""The best of so many counts: short times differ by chance."""
HOSTILE_DEVICES = 20
HANGING_DEVICES = min(GOOD_PUSHES, 3_000)
WORST = ("headers on streams that nobody opened", "empty continuations", "a body before its status")
NAMES = [each for each in FLOODS if os.environ.get("FLOOD", "") in each]
SLOWEST_S = 60 + GOOD_PUSHES / 100
PAGE = 10_000
MOST_MEMORY = 300 * 1024 * 1024
PRELOAD = Path(__file__).parent / "any_address"


class OpenSystem(System):
    """Sends to any server on this machine, of which only the stand-in is named."""

    def _environment(self) -> dict[str, str]:
        self.certificate = make_certificate(self.folder)
        ca_files = [self.standins.ca_file, str(self.certificate.certificate)]
        named = self.standins.credentials["WEBPUSH_ALLOWED_HOSTS"]
        self.extra |= {
            "NEWSZOP_CA_FILE": str(join_certificates(ca_files, self.folder / "trusted.pem")),
            "WEBPUSH_ALLOWED_HOSTS": f"*,{named}",
        }
        environment = super()._environment()
        return environment | {"PYTHONPATH": f"{environment['PYTHONPATH']}:{PRELOAD}"}


@pytest.fixture(params=["wire", "curl"] if "GOOD_PUSHES" in os.environ else ["wire"])
def open_system(request: pytest.FixtureRequest) -> Iterator[OpenSystem]:
    settings = {"WEBPUSH_ALLOWED_HOSTS": "*", "NEWSZOP_SENDER": request.param}
    with OpenSystem(processes=1, **settings) as running:
        yield running


@pytest.fixture
def floods(open_system: OpenSystem) -> Iterator[list[HostileServer]]:
    names = NAMES if "GOOD_PUSHES" in os.environ else WORST
    servers = [HostileServer(open_system.certificate, *FLOODS[name]) for name in names]
    yield servers
    for each in servers:
        each.close()


@pytest.fixture
def hanging(open_system: OpenSystem) -> Iterator[H2Server]:
    certificate = open_system.certificate
    server = H2Server(certificate.certificate, certificate.key)
    yield server
    server.close()


def subscribe(people: People, addresses: list[str] | None = None) -> list[str]:
    """Add followers of the topic with a browser each; at the stand-in without `addresses`."""
    call = {"provider": "webpush", "count": len(addresses or range(GOOD_PUSHES))}
    answer = people.system.control.post("/control/subscriptions", json=call)
    items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    rows = []
    for n, item in enumerate(items):
        address = addresses[n] if addresses else item["address"]
        digest = hashlib.sha256(f"webpush\0{address}".encode()).digest()
        keys = item["keys"]
        rows.append((new_id(), new_id(), address, digest, keys["p256dh"], keys["auth"]))
    with psycopg.connect(people.system.servers.database_url) as connection:
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO reader (id, token_hash, language, timezone) VALUES (%s, %s, 'en', 'UTC')",
            [(reader, digest) for reader, _, _, digest, *_ in rows],
        )
        cursor.executemany(
            "INSERT INTO device (id, reader_id, provider, kind, address, address_hash, p256dh,"
            " auth, trusted_at) VALUES (%s, %s, 'webpush', 'endpoint', %s, %s, %s, %s, now())",
            [(device, reader, *others) for reader, device, *others in rows],
        )
        cursor.executemany(
            "INSERT INTO subscription (reader_id, topic_id)"
            " SELECT %s, id FROM topic WHERE path = %s",
            [(reader, people.topic) for reader, *_ in rows],
        )
    return [address for _, _, address, *_ in rows]


def time_pushes(system: System, people: People) -> tuple[float, dict[str, Any]]:
    """Send an alert; return the seconds until every good push has arrived, and the alert."""
    story = system.ingest(topics=[people.topic])
    begin = time.monotonic()
    alert = system.send(story)

    def have_arrived() -> bool:
        return int(system.pushes(alert_id=alert["id"], limit=1)["count"]) >= GOOD_PUSHES

    system.await_true(
        have_arrived,
        "every good push has arrived",
        SLOWEST_S,
        partial(system.log, "worker-strangers"),
    )
    return time.monotonic() - begin, alert


def sending_process(system: System, worker: str = "worker-strangers") -> psutil.Process:
    [child] = psutil.Process(system.running[worker].pid).children()
    return child


def addresses_reached(system: System, alert: dict[str, Any]) -> list[str]:
    """Return the address of each push of the alert that has arrived."""
    items: list[dict[str, Any]] = []
    for after in range(0, GOOD_PUSHES + 1, PAGE):
        items += system.pushes(alert_id=alert["id"], after=after, limit=PAGE)["items"]
    return [each["address"] for each in items]


@pytest.mark.timeout(1200)
def test_servers_that_nobody_named_cost_the_known_ones_nothing(
    open_system: OpenSystem, floods: list[HostileServer], hanging: H2Server
) -> None:
    hostile = [
        *(f"{each.origin}/{n}" for each in floods for n in range(HOSTILE_DEVICES)),
        *(f"{hanging.origin}/hang?{n}" for n in range(HANGING_DEVICES)),
    ]
    alone, beside = People(open_system), People(open_system)
    subscribe(alone)
    good = subscribe(beside)
    subscribe(beside, hostile)
    time_pushes(open_system, alone)  # connections are warm from here on
    quiet_s = loud_s = float("inf")
    for _ in range(ROUNDS):
        quiet_s = min(time_pushes(open_system, alone)[0], quiet_s)
        duration_s, alert = time_pushes(open_system, beside)
        loud_s = min(duration_s, loud_s)
        open_system.await_true(
            lambda: bool(hanging.seen.begun) and all(each.bytes_sent for each in floods),
            "the hostile servers were met",
            120,
        )
        open_system.answer("POST", f"/api/alerts/{alert['id']}/stop")

    report = open_system.alert(alert)["totals"]
    assert report["planned"] == GOOD_PUSHES + len(hostile)
    process = sending_process(open_system)
    memory = process.memory_info().rss
    others = {
        name: sending_process(open_system, name).memory_info().rss >> 20
        for name in ("worker", "worker-urgent")
    }
    print(
        f"\n{GOOD_PUSHES} good pushes: alone {quiet_s:.2f} s, beside {len(hostile)} hostile"
        f" {loud_s:.2f} s (rate {quiet_s / loud_s:.2f}); strangers' process {memory >> 20} MiB,"
        f" others {others}"
    )
    assert memory < MOST_MEMORY
    assert process.nice() > psutil.Process(open_system.running["worker"].pid).nice()
    session = Path(f"/proc/{process.pid}/autogroup")
    assert not os.access(session, os.W_OK) or not session.read_text().endswith("nice 0\n")
    assert sorted(addresses_reached(open_system, alert)) == sorted(good)
