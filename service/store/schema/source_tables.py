"""Other systems that send stories by signed webhooks, and what they sent in the last days."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import id_column, moment_column, reference_column


class SourceRow(SQLModel, table=True):
    """A system that sends stories. `secret` is sealed; `field_map` is that of a custom source."""

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
