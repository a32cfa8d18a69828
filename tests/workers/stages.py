"""What a stage of the workers is given, in the hands of a test: only the database is real."""

from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Event
from typing import Any

from service.store.replica import NO_REPLICA, Replica
from workers.pacing.way_out import WaysOut


@dataclass
class Settings:
    flush_ms: int = 20
    lease_s: int = 2
    public_url: str = "https://news.example"
    page_origin: str = "http://127.0.0.1:9"
    shard_devices: int = 10_000
    canary_minutes: int = 10
    language_rule: bool = False
    frequency_cap: int = 0
    results_by_default: bool = True
    timezone: str = "UTC"
    device_stale_days: int = 60
    device_expiry_days: int = 270


@dataclass
class Broker:
    messages: list[Any] = field(default_factory=list)

    def send(self, message: Any) -> None:
        self.messages.append(message)


@dataclass
class Credentials:
    credential: Any = None

    def get(self, _provider: Any, _now: Any) -> Any:
        return self.credential

    def reject(self, _provider: Any, _now: Any) -> bool:
        return False


class Rates:
    def take(self, _name: str, pushes: int, _now: float) -> int:
        return pushes

    def pause(self, _name: str, _seconds: float) -> None:
        pass

    def lower(self, _name: str, _refused: float) -> None:
        pass


class Notes(list):
    """What a process writes when it cannot send."""

    def write(self, words: str) -> None:
        self.append(words)


@dataclass
class Context:
    engine: Any
    settings: Settings = field(default_factory=Settings)
    broker: Broker = field(default_factory=Broker)
    gateway: Any = None
    credentials: Any = field(default_factory=Credentials)
    rates: Any = field(default_factory=Rates)
    providers: dict[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=lambda: ["apns"])
    secret: bytes = b"secret"
    replica: Replica = NO_REPLICA
    strangers: bool = False
    holder: int | None = None
    known_servers: dict[str, str] = field(default_factory=dict)
    without_receipts: list[str] = field(default_factory=list)
    stopping: Any = field(default_factory=Event)
    ways: WaysOut = field(default_factory=lambda: WaysOut(Notes()))
    waiting: Callable[[str], int] = lambda _: 0

    def follow_apps(self, _session: Any, _revision: int | None = None) -> bool:
        return False

    @property
    def messages(self) -> list[Any]:
        return self.broker.messages
