"""The table `second_look`: breaking alerts that wait for another editor's confirmation."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

_COLUMNS = """
    SELECT second_look.story_id, headline, draft, asked_by, email, asked_at
    FROM second_look JOIN staff ON staff.id = asked_by JOIN story ON story.id = second_look.story_id
"""
_ASK = text("""
    INSERT INTO second_look (story_id, draft, asked_by, asked_at)
    VALUES (:story_id, CAST(:draft AS jsonb), :asked_by, :at)
    ON CONFLICT (story_id) DO UPDATE SET draft = excluded.draft, asked_by = excluded.asked_by,
        asked_at = excluded.asked_at""")
_GET = text(_COLUMNS + " WHERE second_look.story_id = :story_id")
_WAITING = text(_COLUMNS + " ORDER BY asked_at DESC LIMIT 20")
_CLEAR = text("DELETE FROM second_look WHERE story_id = :story_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What an editor wants to send and another is to confirm."""

    story_id: int
    headline: str
    draft: dict[str, Any]
    asked_by: int
    email: str
    asked_at: datetime


def ask(
    session: Session, story_id: int, draft: dict[str, Any], asked_by: int, now: datetime
) -> None:
    """Keep what is to be confirmed, in place of what waited for the same story before."""
    values = {"story_id": story_id, "draft": json.dumps(draft), "asked_by": asked_by, "at": now}
    session.execute(_ASK, values)


def get(session: Session, story_id: int) -> Confirmation | None:
    """Return what waits for a confirmation of this story."""
    row = session.execute(_GET, {"story_id": story_id}).one_or_none()
    return None if row is None else _confirmation(row)


def waiting(session: Session) -> list[Confirmation]:
    """Return all that waits, the newest first."""
    return [_confirmation(row) for row in session.execute(_WAITING)]


def clear(session: Session, story_id: int) -> None:
    """Forget what waited: it was sent, or taken back."""
    session.execute(_CLEAR, {"story_id": story_id})


def _confirmation(row: Row[Any]) -> Confirmation:
    return Confirmation(
        story_id=row.story_id,
        headline=row.headline,
        draft=row.draft,
        asked_by=row.asked_by,
        email=row.email,
        asked_at=row.asked_at,
    )
