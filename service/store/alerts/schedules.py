"""The words and the time of an alert that has not left yet; its state does not change here."""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

_RESCHEDULE = """
UPDATE alert SET title = :title, body = :body, send_at = :send_at, expires_at = :expires_at,
    page_due_at = NULL, page_refusals = 0, wait_reason = NULL, undoable = false
WHERE id = :alert_id AND state = 'scheduled'
"""


def reschedule(
    session: Session,
    alert_id: int,
    words: tuple[str | None, str | None],
    send_at: datetime,
    expires_at: datetime,
) -> None:
    """Give a locked scheduled alert other words (None for its story's) and another time."""
    title, body = words
    values = {"alert_id": alert_id, "title": title, "body": body, "send_at": send_at}
    session.execute(text(_RESCHEDULE), values | {"expires_at": expires_at})
