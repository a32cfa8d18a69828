"""Alerts that a restored backup shows as unfinished: they may have gone out since it was taken.

Nothing of them is sent until a person has decided: `restored_at` is written here alone.
"""

from sqlalchemy import text
from sqlmodel import Session

from service.store.sql_fragments import alert_has_not_ended

_MARK = text(f"""
UPDATE alert a SET restored_at = now() WHERE {alert_has_not_ended("a")}
AND (a.state <> 'scheduled' OR a.send_at <= now()) RETURNING a.id
""")
_DECIDE = text("""
UPDATE alert SET restored_at = NULL WHERE id = :alert_id AND restored_at IS NOT NULL RETURNING id
""")


def mark_unfinished(session: Session) -> int:
    """Mark the alerts that run or should have begun; return how many. Later ones are not due."""
    return len(session.execute(_MARK).all())


def let_go_on(session: Session, alert_id: int) -> bool:
    """Take the mark off; False when there was none."""
    return session.execute(_DECIDE, {"alert_id": alert_id}).one_or_none() is not None
