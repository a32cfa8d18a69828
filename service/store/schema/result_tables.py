"""What alerts did, how many devices there are, and how the providers fared: figures, no readers."""

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Column, Date, DateTime, Index, Integer, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import moment_column, reference_column


class DepartureRow(SQLModel, table=True):
    """How many readers unfollowed or muted a topic in five minutes; several rows add up.

    Rows are added and never changed, so no two readers wait for each other; the sweep makes one
    row of all that a topic has of a day. Who it was is not kept.
    """

    __tablename__: ClassVar[str] = "departure"
    __table_args__: ClassVar[Any] = (
        Index("departure_topic", "topic_id", "since"),
        Index("departure_since", "since"),
    )
    id: UUID = Field(
        sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()"))
    )
    topic_id: int = reference_column("topic.id")
    since: datetime = moment_column()
    unfollows: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    mutes: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))


class AlertResultRow(SQLModel, table=True):
    """What an alert did in the day after it was due, counted once when that day was over."""

    __tablename__: ClassVar[str] = "alert_result"
    alert_id: int = reference_column("alert.id", primary_key=True)
    counted_at: datetime = moment_column(now=True)
    figures: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class AudienceDayRow(SQLModel, table=True):
    """How many live devices an app had at the end of a day (UTC), and how many it lost in it."""

    __tablename__: ClassVar[str] = "audience_day"
    day: date = Field(sa_column=Column(Date, primary_key=True))
    provider: str = Field(sa_column=Column(Text, primary_key=True))
    devices: int = Field(sa_column=Column(Integer, nullable=False))
    removals: int = Field(sa_column=Column(Integer, nullable=False))
    gone: int = Field(sa_column=Column(Integer, nullable=False))


class ProviderSampleRow(SQLModel, table=True):
    """How an app fared in a minute: accepted in it; not accepted and waiting at its end."""

    __tablename__: ClassVar[str] = "provider_sample"
    minute: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    provider: str = Field(sa_column=Column(Text, primary_key=True))
    accepted: int = Field(sa_column=Column(Integer, nullable=False))
    errors: int = Field(sa_column=Column(Integer, nullable=False))
    waiting: int = Field(sa_column=Column(Integer, nullable=False))
