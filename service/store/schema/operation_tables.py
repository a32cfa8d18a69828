"""How the system is doing, and which requests were answered."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import moment_column


class HoldRow(SQLModel, table=True):
    """A provider we have stopped using until a person or a probe clears it."""

    __tablename__: ClassVar[str] = "hold"
    provider: str = Field(sa_column=Column(Text, primary_key=True))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    held_by: str = Field(sa_column=Column(Text, nullable=False))
    since: datetime = moment_column(now=True)
    probe_at: datetime | None = moment_column(nullable=True)


class WorkerRow(SQLModel, table=True):
    """A worker's heartbeat; `trouble` says why nothing that it sends leaves it."""

    __tablename__: ClassVar[str] = "worker"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    queues: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    last_seen: datetime = moment_column(now=True)
    trouble: str | None = Field(default=None, sa_column=Column(Text))


class ProcessLeaseRow(SQLModel, table=True):
    """Work that one process does at a time, and until when it is that process's."""

    __tablename__: ClassVar[str] = "process_lease"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    holder: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: datetime = moment_column()


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
    created_at: datetime = moment_column(now=True)


class AlarmRow(SQLModel, table=True):
    """A trouble that was seen, whether people know it, and since when it is away."""

    __tablename__: ClassVar[str] = "alarm"
    key: str = Field(sa_column=Column(Text, primary_key=True))
    sentence: str = Field(sa_column=Column(Text, nullable=False))
    began_at: datetime = moment_column()
    reported: bool = Field(nullable=False)
    away_since: datetime | None = moment_column(nullable=True)
    ends: bool = Field(nullable=False)


class DeskNoteRow(SQLModel, table=True):
    """An alert whose end the newsroom knows."""

    __tablename__: ClassVar[str] = "desk_note"
    alert_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    sent_at: datetime = moment_column()
