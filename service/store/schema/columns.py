"""What the columns of all tables are made of."""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, text
from sqlmodel import Field

ID_LIMIT = 2**63 - 1
"""Every id is below it, so that a range of ids can be written [lo, hi) in a bigint."""


def new_id() -> int:
    """Draw an id: 63 random bits, never zero."""
    return secrets.randbelow(ID_LIMIT - 1) + 1


def id_column(**options: Any) -> Any:
    """Return the key of a table whose rows draw their own ids."""
    column = Column(BigInteger, primary_key=True, autoincrement=False, **options)
    return Field(default_factory=new_id, sa_column=column)


def reference_column(
    target: str, *, primary_key: bool = False, nullable: bool = False, ondelete: str = "CASCADE"
) -> Any:
    """Return a column that refers to the id `target` of another table."""
    column: Column[int] = Column(
        BigInteger,
        ForeignKey(target, ondelete=ondelete),
        primary_key=primary_key,
        nullable=nullable,
        autoincrement=False,
    )
    return Field(default=None if nullable else ..., sa_column=column)


def moment_column(*, nullable: bool = False, now: bool = False) -> Any:
    """Return a column for a moment; with `now` the database fills it in."""
    column: Column[datetime] = Column(
        DateTime(timezone=True),
        nullable=nullable,
        server_default=text("now()") if now else None,
    )
    return Field(default=None if nullable or now else ..., sa_column=column)
