"""What one worker process owns for life: connections that stay warm between alerts."""

import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

from pydantic import ValidationError
from sqlalchemy import Engine
from sqlmodel import Session

from service.broker.message_queues import MessageQueues, open_queues
from service.broker.redis_client import open_redis
from service.outbox import CeleryBroker
from service.settings import Settings, SettingsError, explain, load
from service.store.replica import NO_REPLICA, Replica, open_replica
from service.store.session import open_engine
from workers import counters
from workers.apps import Apps
from workers.credentials.minting import Credentials
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway
from workers.pacing.shared_rate import Rates
from workers.pacing.way_out import SharedNote, WaysOut
from workers.provider import (
    CarriesNoReceipts,
    KnownServers,
    Provider,
    load_provider,
    settings_class,
)
from workers.upkeep.sender_locks import SenderLock

BROKER_TIMEOUT_S = 1.0
PING_AFTER_S = 1.0
"""A connection to PostgreSQL is tried when it has been silent for so long. What breaks within costs
a write or a claim, which is made again; a ping costs each of them a round trip."""
STOPPING: Event = multiprocessing.Event()
"""Set in the worker's main process when it is told to end; its children look at every turn."""
SENDING_NOTE = SharedNote()
"""Written by a worker's children that cannot send; its main process puts it in the heartbeat."""


@dataclass(slots=True)
class WorkerContext:
    """What the stages of one process work with.

    `strangers`: this process sends to servers that nobody named, and to no others.
    """

    settings: Settings
    engine: Engine
    broker: CeleryBroker
    queues: MessageQueues
    gateway: Gateway
    credentials: Credentials
    rates: Rates
    apps: Apps
    sender: SenderLock
    replica: Replica = NO_REPLICA
    stopping: Event = STOPPING
    strangers: bool = False
    ways: WaysOut = field(default_factory=lambda: WaysOut(SENDING_NOTE))

    @property
    def holder(self) -> int:
        """Return this process's number as a holder of leases."""
        return self.sender.holder

    @property
    def secret(self) -> bytes:
        """Return what signs receipts."""
        return self.settings.secret_key.encode()

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Return the providers of the apps in use, by the app's name."""
        return self.apps.providers

    @property
    def names(self) -> list[str]:
        """Return the names of the apps in use."""
        return list(self.apps.providers)

    def follow_apps(self, session: Session, revision: int | None = None) -> bool:
        """Take over what has changed of the apps; True when something had."""
        return self.apps.follow(session, revision)

    @property
    def known_servers(self) -> Mapping[str, str]:
        """Return the providers that send to strangers' servers too, with what matches the others.

        See `workers.provider.KnownServers`.
        """
        return {
            name: provider.known_servers
            for name, provider in self.providers.items()
            if isinstance(provider, KnownServers) and provider.known_servers is not None
        }

    @property
    def without_receipts(self) -> list[str]:
        """Return the providers whose pushes carry no receipts."""
        return [
            name
            for name, provider in self.providers.items()
            if isinstance(provider, CarriesNoReceipts)
        ]

    def waiting(self, queue: str) -> int:
        """Return how many messages wait in a queue; 0 when the broker is away."""
        return self.queues.count(queue) or 0

    def close(self) -> None:
        """Let go of every connection."""
        self.gateway.close()
        self.engine.dispose()
        self.replica.close()
        self.sender.close()


def check_start(settings: Settings) -> None:
    """Raise `SettingsError` for a provider that is unknown or whose settings are wrong."""
    for name in settings.providers:
        try:
            load_provider(name)
        except LookupError as error:
            raise SettingsError(f"NEWSZOP_PROVIDERS: {error.args[0]}") from None
        except ValidationError as error:
            raise SettingsError(explain(settings_class(name), error)) from None


def open_context(settings: Settings | None = None, *, strangers: bool = False) -> WorkerContext:
    """Connect to everything this process will need; raises `SettingsError` for a bad setting."""
    config = settings or load()
    client = open_redis(config.redis_url, BROKER_TIMEOUT_S, health_check_interval=30)
    providers = {name: load_provider(name) for name in config.providers}
    gateway, rates = open_gateway(config), Rates(client, providers.values())
    return WorkerContext(
        settings=config,
        engine=open_engine(
            config.database_url,
            pool_size=2,
            name="newszop-worker",
            pooler=config.db_pooler,
            ping_after_s=PING_AFTER_S,
        ),
        broker=CeleryBroker(config.broker),
        queues=open_queues(config.broker, BROKER_TIMEOUT_S),
        gateway=gateway,
        credentials=Credentials(config, client),
        rates=rates,
        sender=SenderLock(config.sender_folder),
        apps=Apps(config.seal_keys, gateway, rates, providers, strangers=strangers),
        replica=open_replica(
            config.database_replica_url,
            pooler=config.db_pooler,
            note=counters.count_replica_read,
        ),
        strangers=strangers,
    )
