"""Every table, as SQLModel declares it; the migrations build exactly this.

Ids are random 63-bit integers (`new_id`), so a range of ids is a fair sample of its table.
"""

import secrets
from datetime import datetime, time
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Time,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

ID_LIMIT = 2**63 - 1
"""Every id is below it, so that a range of ids can be written [lo, hi) in a bigint."""


def new_id() -> int:
    """Draw an id: 63 random bits, never zero."""
    return secrets.randbelow(ID_LIMIT - 1) + 1


def _id(**options: Any) -> Any:
    column = Column(BigInteger, primary_key=True, autoincrement=False, **options)
    return Field(default_factory=new_id, sa_column=column)


def _ref(
    target: str, *, primary_key: bool = False, nullable: bool = False, ondelete: str = "CASCADE"
) -> Any:
    column: Column[int] = Column(
        BigInteger,
        ForeignKey(target, ondelete=ondelete),
        primary_key=primary_key,
        nullable=nullable,
        autoincrement=False,
    )
    return Field(default=None if nullable else ..., sa_column=column)


def _moment(*, nullable: bool = False, now: bool = False) -> Any:
    column: Column[datetime] = Column(
        DateTime(timezone=True),
        nullable=nullable,
        server_default=text("now()") if now else None,
    )
    return Field(default=None if nullable or now else ..., sa_column=column)


class TimeZoneRow(SQLModel, table=True):
    """A time zone that Python and Postgres both know: the only ones a reader may have."""

    __tablename__: ClassVar[str] = "time_zone"
    name: str = Field(sa_column=Column(Text, primary_key=True))


class StaffRow(SQLModel, table=True):
    """A member of the newsroom. `password_hash` is argon2's own encoded form.

    `reader_id` is the reader this person is: whose devices get this person's tests.
    """

    __tablename__: ClassVar[str] = "staff"
    __table_args__: ClassVar[Any] = (Index("staff_reader", "reader_id"),)
    id: int = _id()
    email: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    password_hash: str = Field(sa_column=Column(Text, nullable=False))
    role: str = Field(sa_column=Column(Text, nullable=False))
    totp_secret: str | None = Field(default=None, sa_column=Column(Text))
    reader_id: int | None = _ref("reader.id", nullable=True, ondelete="SET NULL")
    created_at: datetime = _moment(now=True)
    disabled_at: datetime | None = _moment(nullable=True)


class StaffSessionRow(SQLModel, table=True):
    """A signed-in browser. Only the hash of its cookie is kept; deleting the row signs it out."""

    __tablename__: ClassVar[str] = "staff_session"
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    staff_id: int = _ref("staff.id")
    created_at: datetime = _moment(now=True)
    expires_at: datetime = _moment()


class ApiKeyRow(SQLModel, table=True):
    """A machine's key: only its SHA-256 is kept; it is 32 random bytes, so no salt is needed."""

    __tablename__: ClassVar[str] = "api_key"
    id: int = _id()
    name: str = Field(sa_column=Column(Text, nullable=False))
    prefix: str = Field(sa_column=Column(Text, nullable=False))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = _moment(now=True)
    revoked_at: datetime | None = _moment(nullable=True)
    last_used_at: datetime | None = _moment(nullable=True)


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
        CheckConstraint("(quiet_from IS NULL) = (quiet_to IS NULL)", name="reader_quiet_both"),
    )
    id: int = _id()
    token_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    language: str = Field(sa_column=Column(Text, nullable=False))
    timezone: str = Field(sa_column=Column(Text, ForeignKey("time_zone.name"), nullable=False))
    quiet_from: time | None = Field(default=None, sa_column=Column(Time))
    quiet_to: time | None = Field(default=None, sa_column=Column(Time))
    created_at: datetime = _moment(now=True)


class DeviceRow(SQLModel, table=True):
    """A place to reach a reader. `address_hash` finds it; a gone one is a tombstone."""

    __tablename__: ClassVar[str] = "device"
    __table_args__: ClassVar[Any] = (
        Index(
            "device_address",
            "address_hash",
            unique=True,
            postgresql_where=text("gone_at IS NULL"),
        ),
        Index(
            "device_reader",  # of tombstones too: erasing a reader looks for all its devices
            "reader_id",
            postgresql_include=["id", "provider", "gone_at"],
        ),
    )
    id: int = _id()
    reader_id: int = _ref("reader.id")
    provider: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    address: str = Field(sa_column=Column(Text, nullable=False))
    address_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    p256dh: str | None = Field(default=None, sa_column=Column(Text))
    auth: str | None = Field(default=None, sa_column=Column(Text))
    locale: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    app_version: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    registered_at: datetime = _moment(now=True)
    suspect_at: datetime | None = _moment(nullable=True)
    gone_at: datetime | None = _moment(nullable=True)
    gone_why: str | None = Field(default=None, sa_column=Column(Text))


class TopicRow(SQLModel, table=True):
    """A topic; a followed story's own topic has the story's id and the path `story/<id>`."""

    __tablename__: ClassVar[str] = "topic"
    __table_args__: ClassVar[Any] = (Index("topic_tree", text('path COLLATE "C"')),)
    id: int = _id()
    path: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    label: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = _moment(now=True)


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
    reader_id: int = _ref("reader.id", primary_key=True)
    topic_id: int = _ref("topic.id", primary_key=True)
    least_urgency: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0")
    )
    muted_until: datetime | None = _moment(nullable=True)
    created_at: datetime = _moment(now=True)


class StoryRow(SQLModel, table=True):
    """A story with its newest text."""

    __tablename__: ClassVar[str] = "story"
    __table_args__: ClassVar[Any] = (
        Index(
            "story_newest",
            text("published_at DESC"),
            text("id DESC"),
            postgresql_where=text("state IN ('published', 'corrected')"),
        ),
        Index("story_topics", "topics", postgresql_using="gin"),
        Index("story_updated", text("updated_at DESC"), text("id DESC")),
    )
    id: int = _id()
    slug: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    source_uri: str | None = Field(default=None, sa_column=Column(Text, unique=True))
    version: int = Field(default=1, sa_column=Column(Integer, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    headline: str = Field(sa_column=Column(Text, nullable=False))
    summary: str = Field(sa_column=Column(Text, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    topics: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    language: str = Field(sa_column=Column(Text, nullable=False))
    author: str = Field(sa_column=Column(Text, nullable=False))
    image_url: str | None = Field(default=None, sa_column=Column(Text))
    urgency: int | None = Field(default=None, sa_column=Column(SmallInteger))
    embargo_until: datetime | None = _moment(nullable=True)
    expires_at: datetime | None = _moment(nullable=True)
    created_at: datetime = _moment(now=True)
    updated_at: datetime = _moment(now=True)
    published_at: datetime | None = _moment(nullable=True)


class RevisionRow(SQLModel, table=True):
    """One saved text of a story; corrections add, never overwrite."""

    __tablename__: ClassVar[str] = "revision"
    story_id: int = _ref("story.id", primary_key=True)
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    content: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    saved_by: str = Field(default="", sa_column=Column(Text, nullable=False))
    saved_at: datetime = _moment(now=True)


class AlertRow(SQLModel, table=True):
    """An alert: the outbox. Its totals are counted from its batches; nothing is kept twice.

    `void` is a first alert that ended with nothing accepted: it frees the story's one place.
    `takes_over` is a correction that stopped its source in the middle: whom that had not reached
    is its too. `page_due_at` is when the story's page is asked for again before a scheduled start.
    `topic_ids` and `above` (pairs topic, ancestor, flattened) are the audience frozen at the start.
    `reader_id` is whom a test is for. It refers to nothing: where that reader is erased, a test is
    for nobody, and never for the story's followers.
    """

    __tablename__: ClassVar[str] = "alert"
    __table_args__: ClassVar[Any] = (
        Index(
            "alert_one_first",
            "story_id",
            unique=True,
            postgresql_where=text("kind = 'first' AND NOT dry_run AND NOT void"),
        ),
        Index("alert_story", "story_id"),
        Index("alert_newest", text("created_at DESC"), text("id DESC")),
        Index(
            "alert_open",
            "state",
            postgresql_where=text("state IN ('scheduled', 'planning', 'sending', 'stopped')"),
        ),
        CheckConstraint("(kind = 'test') = (reader_id IS NOT NULL)", name="alert_test_reader"),
    )
    id: int = _id()
    story_id: int = _ref("story.id")
    kind: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    void: bool = Field(default=False, nullable=False)
    title: str | None = Field(default=None, sa_column=Column(Text))
    body: str | None = Field(default=None, sa_column=Column(Text))
    locales: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    urgency: int = Field(sa_column=Column(SmallInteger, nullable=False))
    topics: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    everyone: bool = Field(default=False, nullable=False)
    topic_ids: list[int] | None = Field(default=None, sa_column=Column(ARRAY(BigInteger)))
    above: list[int] | None = Field(default=None, sa_column=Column(ARRAY(BigInteger)))
    collapse_key: str = Field(sa_column=Column(Text, nullable=False))
    dry_run: bool = Field(default=False, nullable=False)
    source_alert_id: int | None = _ref("alert.id", nullable=True)
    takes_over: bool = Field(default=False, nullable=False)
    reader_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = _moment(now=True)
    send_at: datetime | None = _moment(nullable=True)
    started_at: datetime | None = _moment(nullable=True)
    expires_at: datetime = _moment()
    ttl_s: int = Field(
        default=14_400, sa_column=Column(Integer, nullable=False, server_default="14400")
    )
    finished_at: datetime | None = _moment(nullable=True)
    page_due_at: datetime | None = _moment(nullable=True)
    stop_reason: str | None = Field(default=None, sa_column=Column(Text))
    settled: bool = Field(default=False, nullable=False)
    rejected_by: list[str] = Field(
        sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )


class ShardRow(SQLModel, table=True):
    """A range [lo, hi) of reader ids; with a source alert, of that alert's shard numbers."""

    __tablename__: ClassVar[str] = "shard"
    __table_args__: ClassVar[Any] = (
        Index("shard_open", "alert_id", "n", postgresql_where=text("NOT done")),
    )
    alert_id: int = _ref("alert.id", primary_key=True)
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    lo: int = Field(sa_column=Column(BigInteger, nullable=False))
    hi: int = Field(sa_column=Column(BigInteger, nullable=False))
    done: bool = Field(default=False, nullable=False)


class BatchRow(SQLModel, table=True):
    """Up to 1,000 deliveries of one provider in one row: the ledger.

    `claimable_at` is from when anybody may claim it: the end of its lease while it is leased, its
    earliest due retry while it waits. `counts` is derived from `states` at every write.
    `progress` holds pairs (ms since the alert was due, newly accepted), flattened. `started_at` is
    when the first push of it was on record as tried.
    """

    __tablename__: ClassVar[str] = "batch"
    __table_args__: ClassVar[Any] = (
        Index(
            "batch_open",
            "alert_id",
            "provider",
            "shard_n",
            "n",
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "batch_fresh",
            "alert_id",
            "provider",
            "shard_n",
            "n",
            postgresql_where=text("started_at IS NULL AND finished_at IS NULL"),
        ),
        {"postgresql_with": {"fillfactor": "60"}},
    )
    alert_id: int = _ref("alert.id", primary_key=True)
    shard_n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    device_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    states: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    counts: list[int] = Field(sa_column=Column(ARRAY(Integer), nullable=False))
    progress: list[int] = Field(
        sa_column=Column(ARRAY(Integer), nullable=False, server_default=text("'{}'"))
    )
    claimable_at: datetime = _moment(now=True)
    lease_token: int | None = Field(default=None, sa_column=Column(BigInteger))
    started_at: datetime | None = _moment(nullable=True)
    finished_at: datetime | None = _moment(nullable=True)


class RetryRow(SQLModel, table=True):
    """A delivery that waits: the exceptions only."""

    __tablename__: ClassVar[str] = "retry"
    alert_id: int = _ref("alert.id", primary_key=True)
    shard_n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    position: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    due_at: datetime = _moment()
    why: str = Field(sa_column=Column(Text, nullable=False))


class DeadLetterRow(SQLModel, table=True):
    """What was given up in one batch for one reason and answer: positions as a bitmap."""

    __tablename__: ClassVar[str] = "dead_letter"
    __table_args__: ClassVar[Any] = (
        Index("dead_letter_newest", text("buried_at DESC"), text("id DESC")),
        Index("dead_letter_batch", "alert_id", "shard_n", "n"),
    )
    id: int = _id()
    alert_id: int = _ref("alert.id")
    shard_n: int = Field(sa_column=Column(Integer, nullable=False))
    n: int = Field(sa_column=Column(Integer, nullable=False))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    answer: str = Field(sa_column=Column(Text, nullable=False))
    positions: list[int] = Field(sa_column=Column(ARRAY(SmallInteger), nullable=False))
    buried_at: datetime = _moment(now=True)
    replayed_at: datetime | None = _moment(nullable=True)
    replayed_by: str | None = Field(default=None, sa_column=Column(Text))


class ReceiptRow(SQLModel, table=True):
    """What the devices of a batch said: two bitmaps of equal length, shown and then opened."""

    __tablename__: ClassVar[str] = "receipt"
    alert_id: int = _ref("alert.id", primary_key=True)
    shard_n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    marks: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class FollowUpRow(SQLModel, table=True):
    """A ticket that a provider gave for its yes: what became of the push is asked for later."""

    __tablename__: ClassVar[str] = "follow_up"
    __table_args__: ClassVar[Any] = (
        Index("follow_up_due", "provider", "due_at"),
        Index("follow_up_old", "provider", "created_at"),
    )
    provider: str = Field(sa_column=Column(Text, primary_key=True))
    ticket: str = Field(sa_column=Column(Text, primary_key=True))
    device_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    due_at: datetime = _moment()
    created_at: datetime = _moment(now=True)


class HoldRow(SQLModel, table=True):
    """A provider we have stopped using until a person or a probe clears it."""

    __tablename__: ClassVar[str] = "hold"
    provider: str = Field(sa_column=Column(Text, primary_key=True))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    held_by: str = Field(sa_column=Column(Text, nullable=False))
    since: datetime = _moment(now=True)
    probe_at: datetime | None = _moment(nullable=True)


class IdempotencyRow(SQLModel, table=True):
    """The first answer to an Idempotency-Key, written in the transaction of what it did."""

    __tablename__: ClassVar[str] = "idempotency"
    __table_args__: ClassVar[Any] = (Index("idempotency_age", "created_at"),)
    caller: str = Field(sa_column=Column(Text, primary_key=True))
    endpoint: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    body_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int = Field(sa_column=Column(SmallInteger, nullable=False))
    answer: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = _moment(now=True)


class AuditRow(SQLModel, table=True):
    """Who did what to what, and when. Append-only: a trigger refuses changes."""

    __tablename__: ClassVar[str] = "audit"
    __table_args__: ClassVar[Any] = (Index("audit_newest", text("at DESC"), text("id DESC")),)
    id: int = _id()
    at: datetime = _moment(now=True)
    who: str = Field(sa_column=Column(Text, nullable=False))
    verb: str = Field(sa_column=Column(Text, nullable=False))
    what: str = Field(sa_column=Column(Text, nullable=False))
    detail: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class WorkerRow(SQLModel, table=True):
    """A worker's heartbeat."""

    __tablename__: ClassVar[str] = "worker"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    queues: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    last_seen: datetime = _moment(now=True)


class AutosaveRow(SQLModel, table=True):
    """What a member of staff has typed and not saved yet; story 0 is one that has no row yet."""

    __tablename__: ClassVar[str] = "autosave"
    staff_id: int = _ref("staff.id", primary_key=True)
    story_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    content: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    saved_at: datetime = _moment(now=True)


class SecondLookRow(SQLModel, table=True):
    """A breaking alert that waits for another editor's confirmation; one a story at a time."""

    __tablename__: ClassVar[str] = "second_look"
    story_id: int = _ref("story.id", primary_key=True)
    draft: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    asked_by: int = _ref("staff.id")
    asked_at: datetime = _moment(now=True)
