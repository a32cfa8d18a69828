"""Staff with their passwords and sessions, and the keys of machines.

Secrets are shown once, when they are made; tables keep argon2's encoding of a password and the
SHA-256 of a session's token or a key.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

import argon2
from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from service.domain.errors import Conflict, Invalid, require
from service.domain.people import KEY_PREFIX, ApiKey, Role, Scope, Staff, hash_token
from service.store.schema import ApiKeyRow, StaffRow, StaffSessionRow

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
TOUCH_EVERY = timedelta(minutes=1)
"""How often a key's `last_used_at` is written at most: a call must not cost a write."""

_passwords = argon2.PasswordHasher()


def add_staff(session: Session, email: str, password: str, role: Role) -> Staff:
    """Add a member of staff; `Conflict` when the address is taken."""
    address = spell_email(email)
    if session.exec(select(StaffRow.id).where(StaffRow.email == address)).first() is not None:
        raise Conflict(f"{address} is already a member of staff.")
    row = StaffRow(email=address, password_hash=_encode(password), role=role)
    session.add(row)
    session.flush()
    return _staff(row)


def list_staff(session: Session) -> list[Staff]:
    """Return all staff by address; a newsroom is small."""
    rows = session.exec(select(StaffRow).order_by(col(StaffRow.email)))
    return [_staff(row) for row in rows]


def find_staff(session: Session, email: str) -> Staff | None:
    """Return the member of staff with this address, disabled or not."""
    row = session.exec(select(StaffRow).where(StaffRow.email == email.strip().casefold())).first()
    return None if row is None else _staff(row)


def set_password(session: Session, staff_id: int, password: str) -> None:
    """Change a password, sign the person out everywhere, and accept one-time codes again."""
    row = _staff_row(session, staff_id)
    row.password_hash = _encode(password)
    row.totp_failures = 0
    close_sessions_of(session, staff_id)


def credentials_version(session: Session, staff_id: int) -> str:
    """Return a name of the present password and codes, which ends with either; empty for nobody."""
    query = select(StaffRow.password_hash, StaffRow.totp_secret).where(StaffRow.id == staff_id)
    row = session.exec(query).first()
    if row is None:
        return ""
    password_hash, secret = row
    return hashlib.sha256(f"{password_hash} {secret}".encode()).hexdigest()[:16]


def disable(session: Session, staff_id: int, now: datetime) -> None:
    """Shut a member of staff out, signed in or not. What they did keeps their name."""
    row = _staff_row(session, staff_id)
    row.disabled_at = row.disabled_at or now
    close_sessions_of(session, staff_id)


def enable(session: Session, staff_id: int) -> None:
    """Let a disabled member of staff in again."""
    _staff_row(session, staff_id).disabled_at = None


def tie(session: Session, staff_id: int, reader_id: int | None) -> None:
    """Write down which reader a member of staff is; None for none."""
    _staff_row(session, staff_id).reader_id = reader_id
    session.flush()


def authenticate(session: Session, email: str, password: str, now: datetime) -> Staff | None:
    """Return who signs in with this address and password, None for anybody else.

    An unknown address costs as much time as a wrong password, so it cannot be told from one.
    """
    address = email.strip().casefold()
    row = session.exec(select(StaffRow).where(StaffRow.email == address)).first()
    encoded = row.password_hash if row is not None else _nobody()
    if not _fits(encoded, password) or row is None:
        return None
    if row.disabled_at is not None and row.disabled_at <= now:
        return None
    if _passwords.check_needs_rehash(encoded):
        row.password_hash = _passwords.hash(password)
    return _staff(row)


def open_session(session: Session, staff_id: int, now: datetime, lasting: timedelta) -> str:
    """Sign a browser in and return its token, which is kept only as a hash."""
    session.exec(delete(StaffSessionRow).where(col(StaffSessionRow.expires_at) <= now))
    token = secrets.token_urlsafe(32)
    session.add(
        StaffSessionRow(
            token_hash=hash_token(token),
            staff_id=staff_id,
            created_at=now,
            expires_at=now + lasting,
        )
    )
    session.flush()
    return token


def staff_of_session(session: Session, token: str, now: datetime) -> Staff | None:
    """Return whose session this is, None when it ran out, was closed or never was."""
    row = session.exec(
        select(StaffRow)
        .join(StaffSessionRow, col(StaffSessionRow.staff_id) == StaffRow.id)
        .where(StaffSessionRow.token_hash == hash_token(token))
        .where(StaffSessionRow.expires_at > now)
        .where(col(StaffRow.disabled_at).is_(None))
    ).first()
    return None if row is None else _staff(row)


def close_session(session: Session, token: str) -> None:
    """Sign one browser out."""
    session.exec(
        delete(StaffSessionRow).where(col(StaffSessionRow.token_hash) == hash_token(token))
    )


def close_sessions_of(session: Session, staff_id: int) -> None:
    """Sign a member of staff out everywhere."""
    session.exec(delete(StaffSessionRow).where(col(StaffSessionRow.staff_id) == staff_id))


def add_key(session: Session, name: str, scopes: Iterable[Scope]) -> tuple[ApiKey, str]:
    """Make a key `nzp_<prefix>_<secret>` and return it; the secret cannot be read again."""
    scope_list = sorted(set(scopes))
    if not name.strip():
        raise Invalid("name", "A key needs a name, so that people know what it is for.")
    if not scope_list:
        raise Invalid("scopes", "A key without a scope can do nothing.")
    prefix = secrets.token_hex(4)
    secret = f"{KEY_PREFIX}{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        name=name.strip(), prefix=prefix, secret_hash=hash_token(secret), scopes=list(scope_list)
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return _key(row), secret


def list_keys(session: Session) -> list[ApiKey]:
    """Return all keys, the newest first, the revoked ones too."""
    rows = session.exec(select(ApiKeyRow).order_by(col(ApiKeyRow.created_at).desc()))
    return [_key(row) for row in rows]


def find_key(session: Session, key_id: int) -> ApiKey | None:
    """Return one key, revoked or not."""
    row = session.get(ApiKeyRow, key_id)
    return None if row is None else _key(row)


def revoke_key(session: Session, key_id: int, now: datetime) -> ApiKey:
    """End a key for good; it is refused everywhere within seconds."""
    row = require(session.get(ApiKeyRow, key_id), "key")
    row.revoked_at = row.revoked_at or now
    session.flush()
    return _key(row)


def key_of(session: Session, secret: str) -> ApiKey | None:
    """Return the key with this secret unless it is revoked."""
    row = session.exec(
        select(ApiKeyRow)
        .where(ApiKeyRow.secret_hash == hash_token(secret))
        .where(col(ApiKeyRow.revoked_at).is_(None))
    ).first()
    return None if row is None else _key(row)


def touch_key(session: Session, key: ApiKey, now: datetime) -> None:
    """Write down that a key was used, at most once in `TOUCH_EVERY`."""
    stale = now - TOUCH_EVERY
    if key.last_used_at is not None and key.last_used_at > stale:
        return
    session.exec(
        update(ApiKeyRow)
        .where(col(ApiKeyRow.id) == key.id)
        .where(func.coalesce(ApiKeyRow.last_used_at, stale) <= stale)
        .values(last_used_at=now)
    )


def spell_email(email: str) -> str:
    """Return an address as it is kept; `Invalid` for what is none."""
    address = email.strip().casefold()
    name, separator, host = address.partition("@")
    if not (name and separator and host) or any(
        c.isspace() or not c.isprintable() for c in address
    ):
        raise Invalid("email", f"{email[:80]!r} is not an e-mail address.")
    return address


def _encode(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(
            "password",
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.",
        )
    return _passwords.hash(password)


_encoded_for_nobody: list[str] = []


def _nobody() -> str:
    """Return the encoding of a password nobody has, made with today's cost."""
    if not _encoded_for_nobody:
        _encoded_for_nobody.append(_passwords.hash(secrets.token_urlsafe(16)))
    return _encoded_for_nobody[0]


def _fits(encoded: str, password: str) -> bool:
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _passwords.verify(encoded, password)
    except argon2.exceptions.VerificationError:
        return False


def _staff_row(session: Session, staff_id: int) -> StaffRow:
    return require(session.get(StaffRow, staff_id), "member of staff")


def _staff(row: StaffRow) -> Staff:
    return Staff(
        id=row.id,
        email=row.email,
        role=Role(row.role),
        disabled=row.disabled_at is not None,
        reader_id=row.reader_id,
    )


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
