"""Every setting of the service, with its type, unit and purpose; read once, frozen.

Each provider's own settings stand in its file under `workers/providers/`. `newszop settings`
prints all of them.
"""

import secrets
import ssl
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.alarm_settings import AlarmSettings
from service.device_settings import DeviceSettings
from service.domain.network import is_public_host
from service.media_settings import MediaSettings
from service.monitoring_settings import MonitoringSettings
from service.reader_settings import ReaderSettings
from service.sealing import SealKeys
from service.secret_files import read_secret_files
from service.server_addresses import check_broker_url, check_database_url, check_redis_url

Network = IPv4Network | IPv6Network
DEFAULT_SECRETS = frozenset({"", "secret", "changeme", "change-me", "newszop"})
SHORTEST_SECRET = 16
LOCAL_URL = "http://127.0.0.1:8000"


class SettingsError(Exception):
    """One line that names the setting at fault and what is wrong with it."""


class Settings(
    AlarmSettings, MonitoringSettings, ReaderSettings, DeviceSettings, MediaSettings, BaseSettings
):
    """The settings of every process, from the environment or a `.env` file."""

    model_config = SettingsConfigDict(
        env_prefix="NEWSZOP_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    database_url: str = Field(
        validation_alias="DATABASE_URL",
        description="Where PostgreSQL is, as postgresql://user:password@host:port/name.",
    )
    database_replica_url: str = Field(
        "",
        validation_alias="DATABASE_REPLICA_URL",
        description="A streaming replica of it, for the reads of fan-out and reports; the primary "
        "is read when empty, and where the replica lags or is away.",
    )
    redis_url: str = Field(
        validation_alias="REDIS_URL",
        description="Where Redis is, as redis://, rediss:// or sentinel://h:26379,h:26379/0?master="
        "name: rates, tokens, limits; may be wiped at any time.",
    )
    broker_url: str = Field(
        "",
        validation_alias="BROKER_URL",
        description="Where the broker is, as REDIS_URL, or amqp://user:password@host:5672/vhost "
        "for RabbitMQ (amqps:// with ?ssl_ca_certs=file); REDIS_URL when empty.",
    )
    secret_key: str = Field(
        description="Signs receipts and forms; at least 16 characters, the same in all processes."
    )
    earlier_secret_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Secret keys of before, comma-separated: what they sealed or signed holds."
    )
    public_url: str = Field(
        LOCAL_URL,
        description="The site's address as readers see it; alerts link to it.",
    )
    site_name: str = Field("Newszop", description="The site's name, on every page.")
    app_name: str = Field(
        "Newspoint", description='The name in "Loving ...? Download the app now".'
    )
    app_url: str = Field("https://newspoint.app/", description='Where "Download the app" leads.')
    app_url_ios: str = Field("", description="The App Store page, for visitors on iOS.")
    app_url_android: str = Field("", description="The Play Store page, for visitors on Android.")
    providers: Annotated[tuple[str, ...], NoDecode] = Field(
        ("console",),
        description="The providers in use, comma-separated: "
        "apns, fcm, webpush, hms, expo, console.",
    )
    sender: Literal["wire", "curl", "httpx"] = Field(
        "wire",
        description="Which HTTP client pushes: wire (ours, the fastest), curl (libcurl) or httpx.",
    )
    ca_file: Path | None = Field(
        None, description="Certificates trusted for providers beside the usual ones (PEM)."
    )
    page_check_url: str = Field(
        "",
        description="Origin asked for a story's page before a scheduled alert; default PUBLIC_URL.",
    )
    request_timeout_s: float = Field(
        15.0, gt=0, le=120, description="Seconds a provider may take to answer one push."
    )
    lease_s: int = Field(
        20, ge=2, le=30, description="Seconds a worker keeps a batch without a sign of life."
    )
    flush_ms: int = Field(
        250, ge=20, le=1000, description="Milliseconds between two writes of a batch's states."
    )
    shard_devices: int = Field(
        10_000, ge=100, description="About how many devices one shard of an alert holds."
    )
    keep_deliveries_days: int = Field(
        90, ge=1, description="Days until an alert's deliveries shrink to its totals."
    )
    session_hours: int = Field(12, ge=1, description="Hours a member of staff stays signed in.")
    db_pool: int = Field(8, ge=1, description="Connections to PostgreSQL one process keeps.")
    db_pooler: bool = Field(
        False,
        description="Whether PostgreSQL is behind a transaction pooler, such as pgbouncer.",
    )
    undo_seconds: int = Field(10, ge=0, le=60, description="Seconds to undo an alert of the desk.")
    breaking_needs_two: bool = Field(
        False, description="Whether a breaking alert leaves only when a second editor confirms it."
    )
    fetch_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts of feeds and pages inside our own network that may be fetched, "
        "comma-separated: host or host:port.",
    )
    websub_hub: str = Field(
        "", description="The WebSub hub that our own feeds name; told of each new story."
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Networks of our proxies, comma-separated: their X-Forwarded-For, "
        "X-Forwarded-Proto and Forwarded name the caller.",
    )
    inner_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="Port of a second listener, for the newsroom, health and metrics, which "
        "readers cannot fill; off when empty.",
    )
    demo: bool = Field(False, description="Demo mode: shows /phones and the demo's logins.")
    standins_url: str = Field("", description="Where the stand-ins' control API is; demo only.")
    demo_file: Path | None = Field(
        None, description="The demo's demo.json, whose logins /login shows; demo only."
    )
    admin_email: str = Field(
        "", description="The first admin: newszop migrate writes a link to set its password, once."
    )

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str) -> str:
        return check_database_url(value)

    @field_validator("database_replica_url")
    @classmethod
    def _replica_url(cls, value: str) -> str:
        return check_database_url(value) if value else ""

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str) -> str:
        return check_redis_url(value)

    @field_validator("broker_url")
    @classmethod
    def _broker_url(cls, value: str) -> str:
        return check_broker_url(value) if value else ""

    @field_validator("ca_file", mode="before")
    @classmethod
    def _certificates(cls, value: object) -> object:
        if not value:
            return None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(str(value))
        except OSError as error:  # an ssl.SSLError is one as well
            msg = f"{value} cannot be read as certificates in PEM form ({error.strerror or error})"
            raise ValueError(msg) from None
        return value

    @field_validator("public_url", mode="before")
    @classmethod
    def _default_when_empty(cls, value: object) -> object:
        return value or LOCAL_URL

    @field_validator("providers", "earlier_secret_keys", "fetch_allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(
                ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip()
            )
        return value

    @field_validator("inner_port", mode="before")
    @classmethod
    def _none_when_empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("public_url", "page_check_url", "standins_url", "websub_hub")
    @classmethod
    def _origin(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _refuse_default_secrets(self) -> "Settings":
        weak = self.secret_key.lower() in DEFAULT_SECRETS or len(self.secret_key) < SHORTEST_SECRET
        if weak:
            msg = f"NEWSZOP_SECRET_KEY needs at least {SHORTEST_SECRET} characters of its own"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _keep_demo_private(self) -> "Settings":
        refusal = why_no_demo(self.public_url) if self.demo else None
        if refusal is not None:
            raise ValueError(refusal)
        return self

    @property
    def signing_secrets(self) -> tuple[bytes, ...]:
        """The secret that signs, and then the earlier ones, whose signatures still hold."""
        return tuple(key.encode() for key in (self.secret_key, *self.earlier_secret_keys))

    @property
    def seal_keys(self) -> SealKeys:
        """What seals other systems' secrets, and what may have sealed them before."""
        return SealKeys(self.secret_key, self.earlier_secret_keys)

    @property
    def broker(self) -> str:
        """Where the messages to the workers wait."""
        return self.broker_url or self.redis_url

    @property
    def page_origin(self) -> str:
        """Where a story's page is asked for before its scheduled alert leaves."""
        return self.page_check_url or self.public_url


def why_no_demo(public_url: str) -> str | None:
    """Say why the demo, whose logins everybody may read, must not run at this address."""
    host = urlsplit(public_url).hostname or ""
    if not is_public_host(host):
        return None
    return f"NEWSZOP_DEMO shows its logins to everybody, so NEWSZOP_PUBLIC_URL cannot be {host}"


def load() -> Settings:
    """Read the settings; raises `SettingsError` with one line that names the first at fault."""
    try:
        read_secret_files()
    except ValueError as error:
        raise SettingsError(str(error)) from None
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(explain(Settings, error)) from None


def explain(cls: type[BaseSettings], error: ValidationError) -> str:
    """Return one line: the variable's name and what is wrong with its value."""
    fault = error.errors()[0]
    name = variable(cls, str(fault["loc"][0])) if fault["loc"] else ""
    missing = fault["type"] == "missing"
    problem = "is missing" if missing else fault["msg"].removeprefix("Value error, ")
    return f"{name}: {problem}" if name else problem


def variable(cls: type[BaseSettings], name: str) -> str:
    """Return the environment variable that sets the field `name` (or is its alias)."""
    field = cls.model_fields.get(name)
    if field is None:
        return name
    if isinstance(field.validation_alias, str):
        return field.validation_alias
    return f"{cls.model_config.get('env_prefix', '')}{name}".upper()


def new_secret() -> str:
    """Return a secret fit for NEWSZOP_SECRET_KEY."""
    return secrets.token_urlsafe(32)
