"""Shards, batches, and what is kept of a delivery beside its state byte."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from service.store.schema.columns import id_column, moment_column, reference_column


class ShardRow(SQLModel, table=True):
    """A range [lo, hi) of reader ids; with a source alert, of that alert's shard numbers.

    `left_out` is in the order of `LeftOut` how many devices in it the rules left out.
    """

    __tablename__: ClassVar[str] = "shard"
    __table_args__: ClassVar[Any] = (
        Index("shard_open", "alert_id", "n", postgresql_where=text("NOT done")),
    )
    alert_id: int = reference_column("alert.id", primary_key=True)
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    lo: int = Field(sa_column=Column(BigInteger, nullable=False))
    hi: int = Field(sa_column=Column(BigInteger, nullable=False))
    done: bool = Field(default=False, nullable=False)
    left_out: list[int] | None = Field(default=None, sa_column=Column(ARRAY(Integer)))


class RecentSendRow(SQLModel, table=True):
    """Some readers whom an alert goes to, in order, while that counts against their caps.

    `first_reader_id` is the first of them: one probe of the key finds the row that a reader of an
    alert would be in. It does not refer to the alert: checking each row would cost fan-out more
    than what it checks.
    """

    __tablename__: ClassVar[str] = "recent_send"
    alert_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    first_reader_id: int = Field(
        sa_column=Column(BigInteger, primary_key=True, autoincrement=False)
    )
    reader_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))


class MissedAlertRow(SQLModel, table=True):
    """The readers of a shard whom quiet hours kept an alert from, and who want to be told."""

    __tablename__: ClassVar[str] = "missed_alert"
    alert_id: int = reference_column("alert.id", primary_key=True)
    shard_n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    reader_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))


class DigestRow(SQLModel, table=True):
    """A window of ends of quiet hours, and the alert that tells what they kept away, if any."""

    __tablename__: ClassVar[str] = "digest"
    __table_args__: ClassVar[Any] = (Index("digest_alert", "alert_id", unique=True),)
    end_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    begin_at: datetime = moment_column()
    alert_id: int | None = reference_column("alert.id", nullable=True)


class BatchRow(SQLModel, table=True):
    """Up to 1,000 deliveries of one provider in one row.

    `claimable_at` is from when anybody may claim it: the end of its lease while it is leased, its
    earliest due retry while it waits. `counts` is derived from `states` at every write.
    `progress` holds pairs (ms since the alert was due, newly accepted), flattened. `started_at` is
    when the first push of it was on record as tried. `strangers`: all its addresses are at servers
    that nobody named, and a process of their own sends to them. `results`: what its devices report
    is counted; of readers who do not share it nothing is. `expires_at` is a deadline of its own,
    before the alert's, and `zone` where most of its readers are: both only where an alert leaves at
    a time of day in each zone. `missed` are the alerts that a digest tells its readers, the newest
    first.
    `headline` is which of an alert's two headlines it has, 0 or 1: from the beginning where it is
    `in_test`, elsewhere when one was chosen.
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
    alert_id: int = reference_column("alert.id", primary_key=True)
    shard_n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    strangers: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )
    results: bool = Field(
        default=True, sa_column=Column(Boolean, nullable=False, server_default=true())
    )
    missed: list[int] | None = Field(default=None, sa_column=Column(ARRAY(BigInteger)))
    device_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    states: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    counts: list[int] = Field(sa_column=Column(ARRAY(Integer), nullable=False))
    progress: list[int] = Field(
        sa_column=Column(ARRAY(Integer), nullable=False, server_default=text("'{}'"))
    )
    claimable_at: datetime = moment_column(now=True)
    expires_at: datetime | None = moment_column(nullable=True)
    zone: str | None = Field(default=None, sa_column=Column(Text))
    headline: int | None = Field(default=None, sa_column=Column(SmallInteger))
    in_test: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )
    lease_token: int | None = Field(default=None, sa_column=Column(BigInteger))
    started_at: datetime | None = moment_column(nullable=True)
    finished_at: datetime | None = moment_column(nullable=True)


class RetryRow(SQLModel, table=True):
    """A delivery that waits, or that expired or was cancelled after a try, with its last reason.

    The exceptions only: an accepted delivery has no row.
    """

    __tablename__: ClassVar[str] = "retry"
    alert_id: int = reference_column("alert.id", primary_key=True)
    shard_n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    position: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    due_at: datetime = moment_column()
    why: str = Field(sa_column=Column(Text, nullable=False))


class DeadLetterRow(SQLModel, table=True):
    """What was given up in one batch for one reason and answer: positions as a bitmap."""

    __tablename__: ClassVar[str] = "dead_letter"
    __table_args__: ClassVar[Any] = (
        Index("dead_letter_newest", text("buried_at DESC"), text("id DESC")),
        Index("dead_letter_batch", "alert_id", "shard_n", "n"),
    )
    id: int = id_column()
    alert_id: int = reference_column("alert.id")
    shard_n: int = Field(sa_column=Column(Integer, nullable=False))
    n: int = Field(sa_column=Column(Integer, nullable=False))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    answer: str = Field(sa_column=Column(Text, nullable=False))
    positions: list[int] = Field(sa_column=Column(ARRAY(SmallInteger), nullable=False))
    buried_at: datetime = moment_column(now=True)
    replayed_at: datetime | None = moment_column(nullable=True)
    replayed_by: str | None = Field(default=None, sa_column=Column(Text))


class ReceiptRow(SQLModel, table=True):
    """What the devices of a batch said: two bitmaps of equal length, shown and then opened.

    `openings` holds pairs (minute since the alert was due, newly opened), flattened.
    """

    __tablename__: ClassVar[str] = "receipt"
    alert_id: int = reference_column("alert.id", primary_key=True)
    shard_n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    marks: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    openings: list[int] = Field(
        sa_column=Column(ARRAY(Integer), nullable=False, server_default=text("'{}'"))
    )


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
    due_at: datetime = moment_column()
    created_at: datetime = moment_column(now=True)
