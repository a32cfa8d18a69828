"""The words and the time of an alert that has not left yet; its state does not change here."""

import json
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

_RESCHEDULE = """
UPDATE alert SET title = :title, body = :body, send_at = :send_at, expires_at = :expires_at,
    local_release = CAST(:local_release AS jsonb), page_due_at = NULL, page_refusals = 0,
    wait_reason = NULL, undoable = false
WHERE id = :alert_id AND state = 'scheduled'
"""


def reschedule(
    session: Session,
    alert_id: int,
    words: tuple[str | None, str | None],
    send_at: datetime,
    expires_at: datetime,
    local_release: dict[str, str] | None = None,
) -> None:
    """Give a locked scheduled alert other words (None for its story's) and another time."""
    values = {
        "alert_id": alert_id,
        "title": words[0],
        "body": words[1],
        "send_at": send_at,
        "expires_at": expires_at,
        "local_release": None if local_release is None else json.dumps(local_release),
    }
    session.execute(text(_RESCHEDULE), values)


def set_deadline(session: Session, alert_id: int, expires_at: datetime) -> None:
    """Give an alert that begins later than it was to begin another deadline."""
    session.execute(
        text("UPDATE alert SET expires_at = :expires_at WHERE id = :alert_id"),
        {"alert_id": alert_id, "expires_at": expires_at},
    )
