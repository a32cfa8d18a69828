"""What a stream needs of the process it runs in, no more: small protocols that a test can keep."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import Engine
from sqlmodel import Session

from service.outbox import Broker
from service.store.replica import Replica
from workers.gateway.contract import Gateway
from workers.pacing.way_out import WaysOut
from workers.provider import Credential, Provider


class StreamSettings(Protocol):
    """The settings that a stream reads."""

    @property
    def public_url(self) -> str:
        """The site's address as readers see it."""
        ...

    @property
    def flush_ms(self) -> int:
        """Milliseconds between two writes of a batch's states."""
        ...

    @property
    def lease_s(self) -> int:
        """Seconds a batch stays ours without a write."""
        ...

    @property
    def results_by_default(self) -> bool:
        """Whether what is opened is counted of readers who have not said."""
        ...


class CredentialSource(Protocol):
    """Where credentials come from."""

    def get(self, provider: Provider, now: datetime) -> Credential:
        """Return a fresh credential; raises `CredentialRefused` when none can be had."""
        ...

    def reject(self, provider: Provider, now: datetime) -> bool:
        """Drop the credential that the provider refused; True when the next will be another."""
        ...


class RateLimits(Protocol):
    """How fast each provider may be used, over all processes."""

    def take(self, name: str, pushes: int, now: float) -> int:
        """Return how many of the wanted pushes may leave now."""
        ...

    def pause(self, name: str, seconds: float) -> None:
        """Pause for `seconds`, as the provider asked of the whole project, then go more slowly."""
        ...

    def lower(self, name: str, refused_share: float) -> None:
        """Lower the rate by the share of pushes that were refused for the project's sake."""
        ...


class StopFlag(Protocol):
    """Tells a process that it is to end."""

    def is_set(self) -> bool:
        """Whether the process was told to end."""
        ...


class StreamContext(Protocol):
    """What one process lends to its stream."""

    @property
    def settings(self) -> StreamSettings:
        """The settings."""
        ...

    @property
    def engine(self) -> Engine:
        """PostgreSQL."""
        ...

    @property
    def replica(self) -> Replica:
        """What may read in PostgreSQL's place."""
        ...

    @property
    def broker(self) -> Broker:
        """Where messages to the workers go."""
        ...

    @property
    def gateway(self) -> Gateway:
        """All HTTP to providers."""
        ...

    @property
    def credentials(self) -> CredentialSource:
        """What proves to providers who we are."""
        ...

    @property
    def rates(self) -> RateLimits:
        """The providers' rates."""
        ...

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers of the apps in use, by the app's name."""
        ...

    @property
    def names(self) -> list[str]:
        """The names of the apps in use."""
        ...

    def follow_apps(self, session: Session, revision: int | None = None) -> bool:
        """Take over what has changed of the apps, by their revision; True when something had."""
        ...

    @property
    def holder(self) -> int | None:
        """This process's number as a holder of leases."""
        ...

    @property
    def ways(self) -> WaysOut:
        """Whether anything leaves this process, by provider."""
        ...

    @property
    def strangers(self) -> bool:
        """Whether this process sends to servers that nobody named, and to no others."""
        ...

    @property
    def known_servers(self) -> Mapping[str, str]:
        """The providers that send to strangers' servers too, with what matches the others."""
        ...

    @property
    def without_receipts(self) -> Sequence[str]:
        """The providers whose pushes carry no receipts."""
        ...

    @property
    def secret(self) -> bytes:
        """What signs receipts."""
        ...

    @property
    def stopping(self) -> StopFlag:
        """Set when the process is told to end."""
        ...

    def waiting(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        ...
