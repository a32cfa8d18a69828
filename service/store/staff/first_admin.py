"""The link by which the first admin sets a password: used once, for a day, while there is no admin.

Only the hash of its token is kept. A new link ends the one before.
"""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, text
from sqlmodel import Session, col, select

from service.domain.errors import NotFound
from service.domain.people import Role, Staff, hash_token
from service.store.schema import FirstAdminLinkRow, StaffRow
from service.store.staff import accounts

LIFETIME = timedelta(hours=24)
ENDED = (
    "This link was used, has expired, or there is an admin already. While there is none, "
    "`newszop migrate` writes a new one into its log."
)
_LOCK = text("LOCK TABLE first_admin_link IN SHARE ROW EXCLUSIVE MODE")


def open_link(session: Session, email: str, now: datetime) -> str | None:
    """Return the token of a new link for this address; None when there is an admin."""
    session.execute(_LOCK)  # of two programs that start at once the later one's link holds
    if _has_admin(session):
        return None
    token = secrets.token_urlsafe(32)
    session.exec(delete(FirstAdminLinkRow))
    row = FirstAdminLinkRow(
        token_hash=hash_token(token),
        email=accounts.spell_email(email),
        expires_at=now + LIFETIME,
    )
    session.add(row)
    session.flush()
    return token


def email_of(session: Session, token: str, now: datetime) -> str:
    """Return the address that the link is for; `NotFound` for one that has ended."""
    query = (
        select(FirstAdminLinkRow.email)
        .where(FirstAdminLinkRow.token_hash == hash_token(token))
        .where(col(FirstAdminLinkRow.expires_at) > now)
    )
    email = session.exec(query).first()
    if email is None or _has_admin(session):
        raise NotFound(ENDED)
    return email


def add_first_admin(session: Session, token: str, password: str, now: datetime) -> Staff:
    """Use the link up and add its admin; `NotFound` for one that has ended."""
    session.execute(_LOCK)
    email = email_of(session, token, now)
    session.exec(delete(FirstAdminLinkRow))
    return accounts.add_staff(session, email, password, Role.ADMIN)


def _has_admin(session: Session) -> bool:
    query = select(StaffRow.id).where(StaffRow.role == Role.ADMIN)
    return session.exec(query).first() is not None
