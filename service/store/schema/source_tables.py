"""Where stories come from: webhooks and feeds, what they sent lately, and what they suggest."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import id_column, moment_column, reference_column


class SourceRow(SQLModel, table=True):
    """A system that sends stories. `secret` is sealed; `field_map` is that of a custom source.

    `old_secret` signs until its end as well. `categories` maps the sender's words to topic paths;
    `alert` and `alert_rule` say what a new story leads to.
    """

    __tablename__: ClassVar[str] = "source"
    id: int = id_column()
    kind: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    signature: str = Field(sa_column=Column(Text, nullable=False))
    secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    topics: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    language: str = Field(sa_column=Column(Text, nullable=False))
    publish: bool = Field(sa_column=Column(Boolean, nullable=False))
    paused: bool = Field(sa_column=Column(Boolean, nullable=False))
    field_map: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    categories: dict[str, Any] = Field(
        sa_column=Column(JSONB, nullable=False, server_default=text("'{}'"))
    )
    alert: str = Field(sa_column=Column(Text, nullable=False, server_default="never"))
    alert_rule: dict[str, Any] = Field(
        sa_column=Column(JSONB, nullable=False, server_default=text("'{}'"))
    )
    old_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    old_secret_until: datetime | None = moment_column(nullable=True)
    created_at: datetime = moment_column(now=True)


class FeedRow(SQLModel, table=True):
    """Where the feed of a source is, and how its last poll went.

    `minutes_between_polls` is what its last body wished, for the polls that bring none.
    `poll_at` is when it is asked next; while a poll runs, when it would be taken for lost. `host`
    is asked one feed at a time. `hub` and the columns after it are a WebSub subscription: its
    callback's token, its sealed secret, and its end once the hub has verified it.
    """

    __tablename__: ClassVar[str] = "feed"
    __table_args__: ClassVar[Any] = (Index("feed_due", "poll_at"),)
    source_id: int = reference_column("source.id", primary_key=True)
    address: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    host: str = Field(sa_column=Column(Text, nullable=False))
    etag: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    last_modified: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    body_hash: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    minutes_between_polls: int | None = Field(default=None, sa_column=Column(Integer))
    poll_at: datetime = moment_column(now=True)
    failures: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    error: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    polled_at: datetime | None = moment_column(nullable=True)
    changed_at: datetime | None = moment_column(nullable=True)
    hub: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    hub_topic: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    hub_token: str | None = Field(default=None, sa_column=Column(Text, unique=True))
    hub_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    hub_asked_at: datetime | None = moment_column(nullable=True)
    hub_until: datetime | None = moment_column(nullable=True)


class SuggestedAlertRow(SQLModel, table=True):
    """What a source suggested to alert, or alerted by itself: one row a story.

    `state` is `waiting`, `sent` or `dismissed`; `settled_by` is who decided, a source among them.
    """

    __tablename__: ClassVar[str] = "suggested_alert"
    __table_args__: ClassVar[Any] = (
        Index("suggested_alert_waiting", "created_at", postgresql_where=text("state = 'waiting'")),
        Index("suggested_alert_source", "source_id", "settled_at"),
    )
    story_id: int = reference_column("story.id", primary_key=True)
    source_id: int = reference_column("source.id")
    urgency: int = Field(sa_column=Column(BigInteger, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    settled_by: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    settled_at: datetime | None = moment_column(nullable=True)
    created_at: datetime = moment_column(now=True)


class SourceDeliveryRow(SQLModel, table=True):
    """One authentic delivery as it came, and what became of it last."""

    __tablename__: ClassVar[str] = "source_delivery"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("source_id", "key", name="source_delivery_key"),
        Index("source_delivery_age", "received_at"),
    )
    id: int = id_column()
    source_id: int = reference_column("source.id")
    key: str = Field(sa_column=Column(Text, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    times: int = Field(sa_column=Column(Integer, nullable=False))
    outcome: str = Field(sa_column=Column(Text, nullable=False))
    error: str = Field(sa_column=Column(Text, nullable=False))
    received_at: datetime = moment_column(now=True)
