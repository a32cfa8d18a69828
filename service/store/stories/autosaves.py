"""The table `autosave`: what staff typed and have not saved yet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

NEW_STORY = 0
"""Stands for a story that has no row yet."""


@dataclass(frozen=True, slots=True)
class Autosave:
    """What a member of staff typed and has not saved yet."""

    staff_id: int
    email: str
    content: dict[str, Any]
    saved_at: datetime


_KEEP = text("""
    INSERT INTO autosave (staff_id, story_id, content, saved_at)
    VALUES (:staff_id, :story_id, CAST(:content AS jsonb), :at)
    ON CONFLICT (staff_id, story_id) DO UPDATE
        SET content = excluded.content, saved_at = excluded.saved_at""")

_LIST = text("""
    SELECT staff_id, email, content, autosave.saved_at
    FROM autosave JOIN staff ON staff.id = staff_id WHERE story_id = :story_id
    ORDER BY saved_at DESC LIMIT 20""")

_DROP = text("""
    DELETE FROM autosave WHERE staff_id = :staff_id AND story_id = :story_id""")


def keep(session: Session, staff_id: int, story_id: int, content: str, now: datetime) -> None:
    """Keep what was typed, as JSON, in place of what was kept before."""
    values = {"staff_id": staff_id, "story_id": story_id, "content": content, "at": now}
    session.execute(_KEEP, values)


def of_story(session: Session, story_id: int) -> list[Autosave]:
    """Return what people have typed into a story and not saved, the newest first."""
    rows = session.execute(_LIST, {"story_id": story_id})
    return [Autosave(row.staff_id, row.email, row.content, row.saved_at) for row in rows]


def drop(session: Session, staff_id: int, story_id: int) -> None:
    """Forget what was typed: it was saved, or thrown away."""
    session.execute(_DROP, {"staff_id": staff_id, "story_id": story_id})
