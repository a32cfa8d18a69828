"""Alerts, and those that wait for another editor."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    SmallInteger,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import id_column, moment_column, reference_column


class AlertRow(SQLModel, table=True):
    """An alert: the outbox. Its totals are counted from its batches; nothing is kept twice.

    `void` is a first alert that ended with nothing accepted: it frees the story's one place.
    `takes_over` is a correction that stopped its source in the middle: whom that had not reached
    is its too. `page_due_at` is when the story's page is asked for again before a scheduled start,
    `wait_reason` why the alert waits, `page_refusals` how often in a row.
    `topic_ids` and `above` (pairs topic, ancestor, flattened) are the audience frozen at the start.
    `languages` are those that it can be read in, frozen with them where readers are left out by
    language, `frequency_cap` the most alerts in a day, 0 where only readers have wishes.
    `undoable` is one whose `send_at` is the end of the moment in which its editor can undo it.
    `reader_id` is whom a test is for. It refers to nothing: where that reader is erased, a test is
    for nobody, and never for the story's followers.
    `restored_at` says that a backup was restored with it unfinished: a person decides.
    `apps` are those that it goes to, all without; with `one_device`, to each reader's last seen.
    `spread_s` is over how many seconds it leaves; 0 is at once. `local_release` is the time of day
    at which it leaves where each reader is; without one it leaves everywhere at once.
    `headline_test` is a second headline that is tried beside the first.
    `start_place` is the place in PostgreSQL's log at its start, where there is a replica.
    `traceparent` is the place in a trace of the call that made it, where that was traced.
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
        Index(
            "alert_counts",
            "started_at",
            postgresql_where=text("started_at IS NOT NULL AND urgency < 2"),
        ),
        Index(
            "alert_headline_test",
            "started_at",
            postgresql_where=text("headline_test IS NOT NULL"),
        ),
        CheckConstraint("(kind = 'test') = (reader_id IS NOT NULL)", name="alert_test_reader"),
    )
    id: int = id_column()
    story_id: int = reference_column("story.id")
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
    languages: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    frequency_cap: int | None = Field(default=None, sa_column=Column(SmallInteger))
    collapse_key: str = Field(sa_column=Column(Text, nullable=False))
    dry_run: bool = Field(default=False, nullable=False)
    source_alert_id: int | None = reference_column("alert.id", nullable=True)
    takes_over: bool = Field(default=False, nullable=False)
    reader_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = moment_column(now=True)
    send_at: datetime | None = moment_column(nullable=True)
    started_at: datetime | None = moment_column(nullable=True)
    expires_at: datetime = moment_column()
    ttl_s: int = Field(
        default=14_400, sa_column=Column(Integer, nullable=False, server_default="14400")
    )
    finished_at: datetime | None = moment_column(nullable=True)
    page_due_at: datetime | None = moment_column(nullable=True)
    page_refusals: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default="0")
    )
    wait_reason: str | None = Field(default=None, sa_column=Column(Text))
    stop_reason: str | None = Field(default=None, sa_column=Column(Text))
    settled: bool = Field(default=False, nullable=False)
    undoable: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )
    rejected_by: list[str] = Field(
        sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    restored_at: datetime | None = moment_column(nullable=True)
    apps: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    one_device: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    spread_s: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    local_release: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
    traceparent: str | None = Field(default=None, sa_column=Column(Text))
    start_place: str | None = Field(default=None, sa_column=Column(Text))
    headline_test: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )


class HeadlineChoiceRow(SQLModel, table=True):
    """Which of an alert's two headlines goes to the rest, 0 or 1, and why: decided once."""

    __tablename__: ClassVar[str] = "headline_choice"
    alert_id: int = reference_column("alert.id", primary_key=True)
    headline: int = Field(sa_column=Column(SmallInteger, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    decided_at: datetime = moment_column(now=True)


class SecondLookRow(SQLModel, table=True):
    """A breaking alert that waits for another editor's confirmation; one a story at a time."""

    __tablename__: ClassVar[str] = "second_look"
    story_id: int = reference_column("story.id", primary_key=True)
    draft: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    asked_by: int = reference_column("staff.id")
    asked_at: datetime = moment_column(now=True)
