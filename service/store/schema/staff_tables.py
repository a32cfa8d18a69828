"""Who may sign in or call, and the record of what they did."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import id_column, moment_column, reference_column


class StaffRow(SQLModel, table=True):
    """A member of the newsroom. `password_hash` is argon2's own encoded form.

    `totp_step` is the last step whose code was accepted, `totp_failures` how many codes in a row
    were wrong. `reader_id` is the reader this person is: whose devices get this person's tests.
    """

    __tablename__: ClassVar[str] = "staff"
    __table_args__: ClassVar[Any] = (Index("staff_reader", "reader_id"),)
    id: int = id_column()
    email: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    password_hash: str = Field(sa_column=Column(Text, nullable=False))
    role: str = Field(sa_column=Column(Text, nullable=False))
    totp_secret: str | None = Field(default=None, sa_column=Column(Text))
    totp_step: int | None = Field(default=None, sa_column=Column(BigInteger))
    totp_failures: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default="0")
    )
    reader_id: int | None = reference_column("reader.id", nullable=True, ondelete="SET NULL")
    created_at: datetime = moment_column(now=True)
    disabled_at: datetime | None = moment_column(nullable=True)


class StaffSessionRow(SQLModel, table=True):
    """A signed-in browser. Only the hash of its cookie is kept; deleting the row signs it out."""

    __tablename__: ClassVar[str] = "staff_session"
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    staff_id: int = reference_column("staff.id")
    created_at: datetime = moment_column(now=True)
    expires_at: datetime = moment_column()


class FirstAdminLinkRow(SQLModel, table=True):
    """The link by which the first admin sets a password: at most one row, the token as a hash."""

    __tablename__: ClassVar[str] = "first_admin_link"
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    email: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: datetime = moment_column()


class ApiKeyRow(SQLModel, table=True):
    """A machine's key: only its SHA-256 is kept; it is 32 random bytes, so no salt is needed."""

    __tablename__: ClassVar[str] = "api_key"
    id: int = id_column()
    name: str = Field(sa_column=Column(Text, nullable=False))
    prefix: str = Field(sa_column=Column(Text, nullable=False))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = moment_column(now=True)
    revoked_at: datetime | None = moment_column(nullable=True)
    last_used_at: datetime | None = moment_column(nullable=True)


class AuditRow(SQLModel, table=True):
    """Who did what to what, and when. Append-only: a trigger refuses changes."""

    __tablename__: ClassVar[str] = "audit"
    __table_args__: ClassVar[Any] = (Index("audit_newest", text("at DESC"), text("id DESC")),)
    id: int = id_column()
    at: datetime = moment_column(now=True)
    who: str = Field(sa_column=Column(Text, nullable=False))
    verb: str = Field(sa_column=Column(Text, nullable=False))
    what: str = Field(sa_column=Column(Text, nullable=False))
    detail: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
