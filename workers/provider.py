"""The contract that every provider honours, and `load_provider(name)`.

A provider is a protocol without I/O: it builds requests and reads answers. One file of
`workers/providers/` is one provider, found by its name; no other file names it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Literal, Protocol, runtime_checkable

from pydantic_settings import BaseSettings

import workers.providers
from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.subscription import Urgency
from service.domain.verdict import SenderRejected, TryLater, Verdict

Position = int
"""The index of a device in its batch: 0 to 999."""

ANSWER_LIMIT = 8 * 1024
RECEIPT_ROOM = 64
"""Bytes that payloads keep free for a receipt: more than one ever takes."""
DELIVERY_ID_ROOM = 36


class Failure(StrEnum):
    """Why there is no answer, as far as can be known."""

    NOT_SENT = "not sent"
    """DNS, connect, TLS, REFUSED_STREAM: the provider has certainly not seen the request."""
    UNKNOWN = "unknown"
    """Reset, timeout, GOAWAY in flight, a broken answer: it may have been taken."""
    FORBIDDEN = "forbidden"
    """Our own guard refused the address before a connection was made."""


@dataclass(slots=True)
class Request:
    """One HTTP request for the devices at `positions` (none for a token or a follow-up).

    `headers` are `"name: value"` lines; requests that share them share the very object, which the
    gateway uses to do nothing twice. `positions` goes to `read_answer` as the very object: a
    provider may have put more into it.
    `answer_limit` is how many bytes of the answer's body are kept.
    """

    url: str
    headers: Sequence[str]
    body: bytes
    positions: Sequence[Position] = ()
    method: str = "POST"
    answer_limit: int = ANSWER_LIMIT


@dataclass(slots=True)
class Answer:
    """What came back, raw: header names in lower case, the body cut at the request's limit.

    `status` is 0 exactly when there was no answer; `failure` and `detail` then say why. `detail`
    is for people and never holds an address.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: Failure | None = None
    detail: str = ""


def one_line(text: str) -> str:
    """Return a server's words for people: one line, without control characters and their like."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves to a provider who we are.

    All processes share it, so `value` is plain text. From `fresh_until` on another is minted.
    """

    value: str
    minted_at: datetime
    fresh_until: datetime


@dataclass(slots=True)
class Target:
    """One device of a batch, ready to be pushed to."""

    position: Position
    delivery_id: str
    address: str
    kind: str
    p256dh: str | None
    auth: str | None
    locale: str
    receipt: str
    vapid_key: str | None = None
    """A browser's: the id of the key of ours that it subscribed with; None: the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertContent:
    """What a provider renders of an alert: its words, its ids, and how the push behaves.

    `words` holds the default under "" and one entry for each other language; `language` is the
    default's. `silent` replaces an earlier alert without a sound, for a withdrawal. `icon_url` is
    the site's icon.
    """

    alert_id: str
    story_id: str
    words: Mapping[str, Words]
    language: str
    url: str
    image_url: str | None
    icon_url: str
    urgency: Urgency
    collapse_key: str
    expires_at: datetime
    silent: bool = False


class Pushes(Protocol):
    """One alert in one provider's form; what can be prepared once per alert and locale is."""

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield a request for one or more targets, or a verdict that needs no sending."""
        ...


class Provider(Protocol):
    """What a module of `workers/providers/` offers, as its class `Provider(settings)`."""

    name: str
    """The name of the app that it pushes through: for a default app the provider's own."""
    window: int
    """Most requests in flight at once from one process: at or under the server's stream limit."""
    per_minute: int | None
    """Most pushes a minute over all workers; None: unlimited until it says otherwise."""
    ramp_seconds: int
    """How long the rate takes to rise from its least to its most."""

    @property
    def guard(self) -> Callable[[str, int], bool] | None:
        """None if all requests go to servers that we configured; these are not checked.

        Otherwise strangers choose the addresses: a connection to (host, port) is made only if the
        address is public, or if `guard(host, port)` says that an administrator named the pair.
        """
        ...

    def check(self, registration: Registration) -> Registration:
        """Return the registration in its one spelling, with its `kind`; raises `Invalid`."""
        ...

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Mint a credential; yields the requests that it takes. Raises `CredentialRefused`."""
        ...

    def credential_key(self) -> str:
        """Return the name under which the credential is shared.

        It changes with the key and does not reveal it.
        """
        ...

    def pushes(self, content: AlertContent, credential: Credential) -> Pushes:
        """Prepare the alert for any number of devices."""
        ...

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Return one verdict per position. Pure and total: never an exception."""
        ...

    def probe(self, credential: Credential, now: datetime) -> Request | None:
        """Return a request that alerts nobody and shows whether we are let in; None if none can.

        Its address is an impossible one. So its answer is good when it is an acceptance, or when
        it refuses that address: DeviceGone.
        """
        ...

    def preview(self, content: AlertContent, locale: str) -> "Preview":
        """Return what a screen would show, and how many bytes of the limit the push takes."""
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """The words after shortening, and the size of the payload against the provider's limit."""

    title: str
    body: str
    bytes_used: int
    bytes_limit: int
    shortened: bool


@runtime_checkable
class GivesTickets(Protocol):
    """A provider whose acceptance is only a ticket: what became of the push is asked later."""

    follow_ups_at_once: int
    """Most tickets one request may ask about."""

    def follow_ups(self, tickets: Sequence[str], credential: Credential) -> Request:
        """Return the request that asks what became of the tickets."""
        ...

    def read_follow_ups(self, answer: Answer, tickets: Sequence[str]) -> Sequence[Verdict]:
        """Return one verdict per ticket: TryLater means ask again. Pure and total."""
        ...


@runtime_checkable
class LimitsMints(Protocol):
    """A provider that refuses senders who come with new credentials too often."""

    remint_after: timedelta
    """The least time between two credentials while the first is still fresh."""


@runtime_checkable
class KnownServers(Protocol):
    """A provider that may send to servers that nobody named, where its allow-list is open."""

    def is_known_server(self, url: str) -> bool:
        """Whether the program or an administrator names the server that the request goes to.

        The answer of any other server counts for its own devices only; it cannot hold a provider.
        """
        ...

    @property
    def known_servers(self) -> str | None:
        """Return a regular expression that the addresses at named servers match.

        In PostgreSQL's syntax; None where nothing is sent to any other server.
        """
        ...


@runtime_checkable
class CarriesNoReceipts(Protocol):
    """A provider whose pushes carry nothing that belongs to one device: nobody reports them."""

    carries_receipts: Literal[False]


class CredentialRefused(Exception):
    """There is no credential. `verdict` says whether to wait or to hold the provider, and why."""

    def __init__(self, verdict: TryLater | SenderRejected) -> None:
        super().__init__(repr(verdict))
        self.verdict = verdict


ProviderFactory = Callable[[BaseSettings], Provider]


@cache
def provider_names() -> tuple[str, ...]:
    """Return the name of every provider in the folder."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(workers.providers.__path__)))


def settings_class(name: str) -> type[BaseSettings]:
    """Return the class of the provider's own settings."""
    names = provider_names()
    if name not in names:
        raise LookupError(f"there is no provider {name!r}; there are {', '.join(names)}")
    module = importlib.import_module(f"workers.providers.{name}")
    settings: type[BaseSettings] = module.Settings
    return settings


def load_provider(name: str, settings: BaseSettings | None = None) -> Provider:
    """Return the provider of that name, by default with its settings from the environment.

    Raises LookupError for an unknown name and pydantic's ValidationError for a bad setting.
    """
    if settings is None:
        settings = settings_class(name)()
    provider: Provider = importlib.import_module(f"workers.providers.{name}").Provider(settings)
    return provider
