"""The link by which the first admin sets a password: used once, for a day, while there is no admin.

Only the hash of its token is kept. A new link ends the one before.
"""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.domain.errors import NotFound
from service.domain.people import Role, Staff, hash_token
from service.store.staff import accounts

LIFETIME = timedelta(hours=24)
ENDED = (
    "This link was used, has expired, or there is an admin already. While there is none, "
    "the command newszop migrate writes a new one into its log."
)
_LOCK = text("LOCK TABLE first_admin_link IN SHARE ROW EXCLUSIVE MODE")
_HAS_ADMIN = text("SELECT EXISTS (SELECT 1 FROM staff WHERE role = :admin)")
_FIND = text(
    "SELECT email FROM first_admin_link WHERE token_hash = :token_hash AND expires_at > :now"
)
_CLEAR = text("DELETE FROM first_admin_link")
_ADD = text(
    "INSERT INTO first_admin_link (token_hash, email, expires_at) "
    "VALUES (:token_hash, :email, :expires_at)"
)


def open_link(session: Session, email: str, now: datetime) -> str | None:
    """Return the token of a new link for this address; None when there is an admin."""
    session.execute(_LOCK)  # of two programs that start at once the later one's link holds
    if _has_admin(session):
        return None
    token = secrets.token_urlsafe(32)
    session.execute(_CLEAR)
    row = {
        "token_hash": hash_token(token),
        "email": accounts.spell_email(email),
        "expires_at": now + LIFETIME,
    }
    session.execute(_ADD, row)
    return token


def email_of(session: Session, token: str, now: datetime) -> str:
    """Return the address that the link is for; `NotFound` for one that has ended."""
    values = {"token_hash": hash_token(token), "now": now}
    email = session.execute(_FIND, values).scalar_one_or_none()
    if email is None or _has_admin(session):
        raise NotFound(ENDED)
    return str(email)


def add_first_admin(session: Session, token: str, password: str, now: datetime) -> Staff:
    """Use the link up and add its admin; `NotFound` for one that has ended."""
    session.execute(_LOCK)
    email = email_of(session, token, now)
    session.execute(_CLEAR)
    return accounts.add_staff(session, email, password, Role.ADMIN)


def _has_admin(session: Session) -> bool:
    return bool(session.execute(_HAS_ADMIN, {"admin": Role.ADMIN}).scalar_one())
