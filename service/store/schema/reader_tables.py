"""Readers, where they are reached, and what they follow."""

from datetime import datetime, time
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    Time,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from service.store.schema.columns import id_column, moment_column, reference_column


class TimeZoneRow(SQLModel, table=True):
    """A time zone that a reader may have, by its name in `domain.time_zone`."""

    __tablename__: ClassVar[str] = "time_zone"
    name: str = Field(sa_column=Column(Text, primary_key=True))


class ReaderRow(SQLModel, table=True):
    """A reader. Quiet hours are local wall-clock times, both or neither."""

    __tablename__: ClassVar[str] = "reader"
    __table_args__: ClassVar[Any] = (
        Index(
            "reader_quiet",
            "id",
            postgresql_include=["timezone", "quiet_from", "quiet_to"],
            postgresql_where=text("quiet_from <> quiet_to"),
        ),
        Index("reader_by_reads", "reads", "id", postgresql_where=text("reads <> '{}'")),
        Index(  # only the release before reads by it
            "reader_reads",
            "id",
            postgresql_include=["reads"],
            postgresql_where=text("reads <> '{}'"),
        ),
        Index(
            "reader_wish",
            "id",
            postgresql_include=["alerts_per_day"],
            postgresql_where=text("alerts_per_day IS NOT NULL"),
        ),
        Index(
            "reader_results",
            "id",
            postgresql_include=["results"],
            postgresql_where=text("results IS NOT NULL"),
        ),
        Index("reader_digest", "id", postgresql_where=text("digest")),
        Index(
            "reader_digest_end",
            "timezone",
            "quiet_to",
            postgresql_where=text("digest AND quiet_from <> quiet_to"),
        ),
        Index("reader_zone", "timezone", postgresql_where=text("quiet_from <> quiet_to")),
        Index(
            "reader_external_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        CheckConstraint("(quiet_from IS NULL) = (quiet_to IS NULL)", name="reader_quiet_both"),
    )
    id: int = id_column()
    token_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    language: str = Field(sa_column=Column(Text, nullable=False))
    timezone: str = Field(sa_column=Column(Text, ForeignKey("time_zone.name"), nullable=False))
    quiet_from: time | None = Field(default=None, sa_column=Column(Time))
    quiet_to: time | None = Field(default=None, sa_column=Column(Time))
    created_at: datetime = moment_column(now=True)
    languages: list[str] = Field(
        sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    reads: list[str] = Field(
        sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    """What `languages` come to without scripts and regions: alerts are compared with these."""
    alerts_per_day: int | None = Field(default=None, sa_column=Column(SmallInteger))
    results: bool | None = Field(default=None, sa_column=Column(Boolean))
    """Whether what the reader opens is counted; None: as the installation has it."""
    digest: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )
    """Whether what quiet hours kept away comes as one push at their end."""
    external_id: str | None = Field(default=None, sa_column=Column(Text))
    """The publisher's own id of the person that has logged in; None while anonymous."""
    unclaimed: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )
    """Imported, and nobody has its token: the next who registers its address is this reader."""


class LastDigestRow(SQLModel, table=True):
    """When a reader was last told what quiet hours kept away."""

    __tablename__: ClassVar[str] = "last_digest"
    reader_id: int = reference_column("reader.id", primary_key=True)
    sent_at: datetime = moment_column()


class ReaderLoginRow(SQLModel, table=True):
    """A browser or an app that has logged in: its token, and the devices that came through it.

    A person has one reader and as many tokens as logins; logging out makes one of them and its
    devices anonymous again.
    """

    __tablename__: ClassVar[str] = "reader_login"
    __table_args__: ClassVar[Any] = (Index("reader_login_reader", "reader_id"),)
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    reader_id: int = reference_column("reader.id")
    device_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    created_at: datetime = moment_column(now=True)


class DeviceRow(SQLModel, table=True):
    """A place to reach a reader. `address_hash` finds it; a gone one is a tombstone.

    `provider` is the name of the app that it belongs to: see `AppRow`.
    """

    __tablename__: ClassVar[str] = "device"
    __table_args__: ClassVar[Any] = (
        Index(
            "device_address",
            "address_hash",
            unique=True,
            postgresql_where=text("gone_at IS NULL"),
        ),
        Index(
            "device_dead_endpoint",
            "address_hash",
            postgresql_where=text("gone_at IS NOT NULL AND kind = 'endpoint'"),
        ),
        Index(
            "device_reader",  # of tombstones too: erasing a reader looks for all its devices
            "reader_id",
            postgresql_include=["id", "provider", "gone_at"],
        ),
        Index(
            "device_stale",  # those that an estimate leaves out
            "reader_id",
            postgresql_include=["id", "provider"],
            postgresql_where=text("stale AND gone_at IS NULL"),
        ),
        Index(
            "device_gone",
            "gone_at",
            postgresql_include=["provider", "gone_why"],
            postgresql_where=text("gone_at IS NOT NULL"),
        ),
    )
    id: int = id_column()
    reader_id: int = reference_column("reader.id")
    provider: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    address: str = Field(sa_column=Column(Text, nullable=False))
    address_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    p256dh: str | None = Field(default=None, sa_column=Column(Text))
    auth: str | None = Field(default=None, sa_column=Column(Text))
    locale: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    app_version: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    registered_at: datetime = moment_column(now=True)
    trusted_at: datetime | None = moment_column(nullable=True)
    """When the provider first accepted a push for it, or when an administrator imported it."""
    refusals: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0")
    )
    """How many alerts were refused for it since it was last accepted."""
    suspect_at: datetime | None = moment_column(nullable=True)
    gone_at: datetime | None = moment_column(nullable=True)
    gone_why: str | None = Field(default=None, sa_column=Column(Text))
    vapid_key: str | None = Field(default=None, sa_column=Column(Text))
    """A browser's: the key that it subscribed with, by its id. None: the app's oldest."""
    stale: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )
    """Not seen for NEWSZOP_DEVICE_STALE_DAYS: the sweep sets it, a registration ends it."""


class TopicRow(SQLModel, table=True):
    """A topic; a followed story's own topic has the story's id and the path `story/<id>`."""

    __tablename__: ClassVar[str] = "topic"
    __table_args__: ClassVar[Any] = (Index("topic_tree", text('path COLLATE "C"')),)
    id: int = id_column()
    path: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    label: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = moment_column(now=True)


class TopicCodeRow(SQLModel, table=True):
    """A code of a vocabulary, as in `medtop:15000000`, that stands for a topic."""

    __tablename__: ClassVar[str] = "topic_code"
    __table_args__: ClassVar[Any] = (Index("topic_code_topic", "topic_id"),)
    code: str = Field(sa_column=Column(Text, primary_key=True))
    topic_id: int = reference_column("topic.id")


class TopicLabelRow(SQLModel, table=True):
    """A topic's name in a language other than that of its label."""

    __tablename__: ClassVar[str] = "topic_label"
    topic_id: int = reference_column("topic.id", primary_key=True)
    language: str = Field(sa_column=Column(Text, primary_key=True))
    label: str = Field(sa_column=Column(Text, nullable=False))


class SubscriptionRow(SQLModel, table=True):
    """A reader follows a topic. The key is the range scan that fans an alert out."""

    __tablename__: ClassVar[str] = "subscription"
    __table_args__: ClassVar[Any] = (
        Index(
            "subscription_fan_out",
            "topic_id",
            "reader_id",
            postgresql_include=["least_urgency", "muted_until"],
        ),
        Index(
            "subscription_muted",
            "reader_id",
            "topic_id",
            postgresql_include=["muted_until"],
            postgresql_where=text("muted_until IS NOT NULL"),
        ),
    )
    reader_id: int = reference_column("reader.id", primary_key=True)
    topic_id: int = reference_column("topic.id", primary_key=True)
    least_urgency: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0")
    )
    muted_until: datetime | None = moment_column(nullable=True)
    created_at: datetime = moment_column(now=True)
