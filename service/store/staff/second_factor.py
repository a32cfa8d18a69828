"""The second factor of staff: `staff.totp_secret`, None for those who have none."""

from sqlalchemy import update
from sqlmodel import Session, col, select

from service.store.schema import StaffRow


def secret_of(session: Session, staff_id: int) -> str | None:
    """Return the secret of a member of staff's one-time codes."""
    return session.exec(select(StaffRow.totp_secret).where(StaffRow.id == staff_id)).first()


def keep(session: Session, staff_id: int, secret: str | None) -> None:
    """Ask for codes of this secret from now on; None: no more."""
    session.exec(update(StaffRow).where(col(StaffRow.id) == staff_id).values(totp_secret=secret))


def holders(session: Session) -> set[int]:
    """Return the ids of those who have a second factor."""
    return set(session.exec(select(StaffRow.id).where(col(StaffRow.totp_secret).is_not(None))))
