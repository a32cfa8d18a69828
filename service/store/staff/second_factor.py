"""The second factor of staff: `staff.totp_secret`, None for those who have none.

A code is accepted once: the row keeps the last accepted step, and a code of that step or an earlier
one is refused whatever was forgotten elsewhere (RFC 6238, section 5.2). The row also counts wrong
codes in a row, and at `MOST_FAILURES` codes are refused until the password is set again.
"""

from datetime import datetime
from enum import Enum

from sqlalchemy import update
from sqlmodel import Session, col, select

from service.domain import one_time_code
from service.store.schema import StaffRow

MOST_FAILURES = 100
"""Wrong codes in a row (NIST SP 800-63B, 5.2.2): at most one chance in 3,000 to guess one."""


class CodeUse(Enum):
    """What became of a code."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    BLOCKED = "blocked"


def secret_of(session: Session, staff_id: int) -> str | None:
    """Return the secret of a member of staff's one-time codes."""
    return session.exec(select(StaffRow.totp_secret).where(StaffRow.id == staff_id)).first()


def keep(session: Session, staff_id: int, secret: str | None, step: int | None = None) -> None:
    """Ask for codes of this secret from now on, and not for that of `step`; None: no more."""
    session.exec(
        update(StaffRow)
        .where(col(StaffRow.id) == staff_id)
        .values(totp_secret=secret, totp_step=step, totp_failures=0)
    )


def use_code(session: Session, staff_id: int, code: str, now: datetime) -> CodeUse:
    """Accept a code that is valid now and newer than the last accepted one; count any other."""
    query = select(StaffRow).where(StaffRow.id == staff_id).with_for_update()
    # what this session had read before another one's code was accepted is out of date
    row = session.exec(query, execution_options={"populate_existing": True}).one()
    if row.totp_failures >= MOST_FAILURES:
        return CodeUse.BLOCKED
    step = one_time_code.step_of(row.totp_secret, code, now) if row.totp_secret else None
    if step is None or (row.totp_step is not None and step <= row.totp_step):
        row.totp_failures += 1
        return CodeUse.REFUSED
    row.totp_step = step
    row.totp_failures = 0
    return CodeUse.ACCEPTED


def holders(session: Session) -> set[int]:
    """Return the ids of those who have a second factor."""
    return set(session.exec(select(StaffRow.id).where(col(StaffRow.totp_secret).is_not(None))))
