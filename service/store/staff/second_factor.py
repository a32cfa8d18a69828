"""The second factor of staff: `staff.totp_secret`, None for those who have none."""

from sqlalchemy import text
from sqlmodel import Session


def secret_of(session: Session, staff_id: int) -> str | None:
    """Return the secret of somebody's one-time codes."""
    secret: str | None = session.execute(
        text("SELECT totp_secret FROM staff WHERE id = :id"), {"id": staff_id}
    ).scalar_one_or_none()
    return secret


def keep(session: Session, staff_id: int, secret: str | None) -> None:
    """Ask for codes of this secret from now on; None: no more."""
    session.execute(
        text("UPDATE staff SET totp_secret = :secret WHERE id = :id"),
        {"secret": secret, "id": staff_id},
    )


def holders(session: Session) -> set[int]:
    """Return the ids of those who have a second factor."""
    rows = session.execute(text("SELECT id FROM staff WHERE totp_secret IS NOT NULL"))
    return set(rows.scalars())
