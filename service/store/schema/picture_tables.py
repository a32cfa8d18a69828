"""Uploaded pictures. Their files stand here too, unless a setting has them stored elsewhere."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Text, false, text
from sqlmodel import Field, SQLModel

from service.store.schema.columns import moment_column


class PictureRow(SQLModel, table=True):
    """An uploaded picture; `used` once a story with it was saved, and for ever then."""

    __tablename__: ClassVar[str] = "picture"
    __table_args__: ClassVar[Any] = (
        Index("picture_unused", "uploaded_at", postgresql_where=text("NOT used")),
    )
    id: str = Field(sa_column=Column(Text, primary_key=True))
    width: int = Field(sa_column=Column(Integer, nullable=False))
    height: int = Field(sa_column=Column(Integer, nullable=False))
    uploaded_by: str = Field(sa_column=Column(Text, nullable=False))
    uploaded_at: datetime = moment_column(now=True)
    used: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )


class PictureFileRow(SQLModel, table=True):
    """One size of a picture in one format, as `{id}-{width}.{format}`."""

    __tablename__: ClassVar[str] = "picture_file"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
