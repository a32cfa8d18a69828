"""An installation of the last release is migrated in place, and what it had begun is sent."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.actions.apps.app_administration import list_apps
from service.domain.delivery import Delivery, State, count_states
from service.settings import Settings
from service.store.migrate import migrate, upgrade
from service.store.schema import ID_LIMIT, new_id
from service.store.session import open_engine
from service.unit_of_work import unit_of_work
from tests.journeys.people import apns_address, expo_address, fcm_address, hms_address
from tests.system import PROVIDERS, System
from workers import deliver, plan, sweep
from workers.context import WorkerContext, open_context

LAST_RELEASE = "0010"
DEVICES = 8
"""Of each provider, half of them in either shard."""
KINDS = {"fcm": "token", "webpush": "endpoint"}
MIDDLE = ID_LIMIT // 2


@dataclass
class OldInstallation:
    """A database as the last release left it, with one alert under way and one scheduled."""

    url: str
    running: int = field(default_factory=new_id)
    scheduled: int = field(default_factory=new_id)
    addresses: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    """Those that had the running alert before."""


@pytest.fixture
def old(system: System) -> Iterator[OldInstallation]:
    server, name = system.servers.postgres.server_url, f"upgrade_{os.getpid()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    installation = OldInstallation(f"{server}/{name}")
    engine = open_engine(installation.url)
    with engine.begin() as connection:
        upgrade(connection, LAST_RELEASE)
    engine.dispose()
    with psycopg.connect(installation.url) as connection:
        fill(connection, system, installation)
    yield installation
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def worker(
    system: System, old: OldInstallation, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerContext]:
    """A process of this release on the migrated database."""
    migrate(old.url)
    for name, value in system.environment.items():
        monkeypatch.setenv(name, value)
    redis_url = f"{system.servers.redis.server_url}/1"
    context = open_context(Settings(database_url=old.url, redis_url=redis_url, shard_devices=100))
    yield context
    context.close()


def fill(connection: psycopg.Connection, system: System, old: OldInstallation) -> None:
    stories = [system.ingest(headline=f"Before the upgrade {n}") for n in range(2)]
    connection.execute("INSERT INTO time_zone VALUES ('Asia/Kolkata') ON CONFLICT DO NOTHING")
    connection.execute("INSERT INTO topic (id, path, label) VALUES (1, 'world', 'World')")
    for story in stories:
        insert(
            connection, "story", id=int(story["id"]), slug=story["url"].rpartition("/")[2],
            version=1, state="published", headline="Rain", summary="It rains.", body="<p>Rain</p>",
            topics=["world"], language="en", author="", published_at=datetime.now(UTC),
        )  # fmt: skip
    devices = {name: add_devices(connection, system, old, name) for name in PROVIDERS.split(",")}
    now = datetime.now(UTC)
    alert = {
        "kind": "first", "void": False, "locales": psycopg.types.json.Jsonb({}), "urgency": 1,
        "everyone": False, "dry_run": False, "takes_over": False, "created_by": "editor",
        "expires_at": now + timedelta(hours=4), "settled": False, "title": "Rain at last",
    }  # fmt: skip
    running, scheduled = (int(story["id"]) for story in stories)
    insert(
        connection, "alert", id=old.running, story_id=running, state="sending", started_at=now,
        topic_ids=[1], above=[], collapse_key=f"story-{running}", **alert,
    )  # fmt: skip
    insert(
        connection, "alert", id=old.scheduled, story_id=scheduled, state="scheduled", send_at=now,
        collapse_key=f"story-{scheduled}", **alert,
    )  # fmt: skip
    ranges = ((0, MIDDLE, True), (MIDDLE, ID_LIMIT, False))
    for n, (lo, hi, done) in enumerate(ranges):
        insert(connection, "shard", alert_id=old.running, n=n, lo=lo, hi=hi, done=done)
    for n, (provider, rows) in enumerate(devices.items()):
        add_batch(connection, old, n, provider, rows)


def add_devices(
    connection: psycopg.Connection, system: System, old: OldInstallation, provider: str
) -> list[tuple[int, str]]:
    """Add readers with a device each; returns id and address of those in the first shard."""
    made = {"provider": "webpush", "count": DEVICES}
    browsers = system.control.post("/control/subscriptions", json=made).json()["items"]
    makers = {"apns": apns_address, "fcm": fcm_address, "hms": hms_address, "expo": expo_address}
    first_shard = []
    for n in range(DEVICES):
        reader_id = new_id() // 2 + n % 2 * MIDDLE
        keys = browsers[n]["keys"] if provider == "webpush" else {}
        address = browsers[n]["address"] if provider == "webpush" else makers[provider]()
        digest = hashlib.sha256(b"%d" % reader_id).digest()
        insert(
            connection, "reader", id=reader_id, token_hash=digest, language="en",
            timezone="Asia/Kolkata",
        )  # fmt: skip
        device = {
            "id": new_id(), "reader_id": reader_id, "provider": provider, "address": address,
            "kind": KINDS.get(provider, ""),
            "address_hash": hashlib.sha256(f"{provider}\0{address}".encode()).digest(),
        }  # fmt: skip
        insert(connection, "device", **device, **keys)
        insert(connection, "subscription", reader_id=reader_id, topic_id=1)
        old.addresses.add(address)
        if reader_id < MIDDLE:
            first_shard.append((device["id"], address))
    return sorted(first_shard)


def add_batch(
    connection: psycopg.Connection,
    old: OldInstallation,
    n: int,
    provider: str,
    devices: list[tuple[int, str]],
) -> None:
    """A batch whose worker ended: one accepted, one to try again, the others not tried."""
    old.accepted.add(devices[0][1])
    deliveries = [Delivery(State.ACCEPTED, attempts=1), Delivery(State.RETRYING, attempts=1)]
    deliveries += [Delivery()] * (len(devices) - 2)
    states = bytes(delivery.pack() for delivery in deliveries)
    now = datetime.now(UTC)
    insert(
        connection, "batch", alert_id=old.running, shard_n=0, n=n, provider=provider,
        device_ids=[device for device, _ in devices], states=states, counts=count_states(states),
        progress=[100, 1], claimable_at=now, lease_token=n + 1, started_at=now,
    )  # fmt: skip
    insert(
        connection, "retry", alert_id=old.running, shard_n=0, n=n, position=1, due_at=now,
        why="HTTP 503",
    )  # fmt: skip


def insert(connection: psycopg.Connection, table: str, **values: Any) -> None:
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(values.values()))


def totals(worker: WorkerContext, alert_id: int) -> tuple[str, list[int]]:
    with worker.engine.connect() as connection:
        query = "SELECT counts FROM batch WHERE alert_id = %s"
        rows = connection.exec_driver_sql(query, (alert_id,)).scalars().all()
        state = connection.exec_driver_sql("SELECT state FROM alert WHERE id = %s", (alert_id,))
        return str(state.scalar_one()), [sum(column) for column in zip(*rows, strict=True)]


def pushed(system: System, alert_id: int) -> list[str]:
    return sorted(push["address"] for push in system.pushes(alert_id=str(alert_id))["items"])


def test_an_installation_of_the_last_release_goes_on_where_it_was(system, old, worker):
    with unit_of_work(worker.engine, worker.broker) as work:
        apps = {app.name: app for app in list_apps(work, worker.settings)}
    names = PROVIDERS.split(",")
    assert list(apps) == names
    assert all(app.is_default and app.devices == DEVICES for app in apps.values())

    sweep.sweep(worker)
    assert plan.plan_alert(worker, old.scheduled)
    for alert_id in (old.running, old.scheduled):
        deliver.deliver(worker, alert_id)
        expected = [0, 0, DEVICES * len(names), 0, 0, 0, 0]
        assert totals(worker, alert_id) == ("finished", expected)
    assert pushed(system, old.running) == sorted(old.addresses - old.accepted)
    assert pushed(system, old.scheduled) == sorted(old.addresses)
