"""The apps that alerts are pushed through."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import moment_column


class AppRow(SQLModel, table=True):
    """One place to push through: a provider with credentials and options of its own.

    A provider's default app has the provider's name and needs no row; its credentials come from
    the environment, and a row adds to them. So the columns `provider` of `device`, `batch`, `hold`,
    `dead_letter` and `follow_up` hold an app's name: for a default app it is the provider's.

    `credentials` and `login_key` are sealed. `revision` grows with every change, so the sum of all
    tells whether anything has changed. Rows are never deleted.
    """

    __tablename__: ClassVar[str] = "app"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    options: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    credentials: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    login_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    origins: list[str] = Field(
        sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    prompt: dict[str, Any] = Field(
        sa_column=Column(JSONB, nullable=False, server_default=text("'{}'"))
    )
    revision: int = Field(
        default=1, sa_column=Column(BigInteger, nullable=False, server_default="1")
    )
    created_at: datetime = moment_column(now=True)
    disabled_at: datetime | None = moment_column(nullable=True)
