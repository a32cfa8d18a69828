"""The table `revision`: every text that a story ever had."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.domain.story import Story, StoryState, StoryText
from service.store.schema import RevisionRow

_REVISION = SQLModel.metadata.tables[RevisionRow.__tablename__]
_R = _REVISION.c
_INSERT = insert(_REVISION)
_TEXT_FIELDS = tuple(field.name for field in fields(StoryText))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One saved text of a story, and who saved it when."""

    version: int
    state: StoryState
    text: StoryText
    saved_by: str
    saved_at: datetime


def add(session: Session, story: Story, saved_by: str) -> None:
    """Keep a story's text as it stands now."""
    values = {
        "story_id": story.id,
        "version": story.version,
        "state": story.state,
        "content": _content(story.text),
        "saved_by": saved_by,
        "saved_at": story.updated_at,
    }
    session.execute(_INSERT, values)


def of_story(session: Session, story_id: int, limit: int = 200) -> list[Revision]:
    """Return a story's texts, the newest first."""
    rows = session.execute(
        select(*_R).where(_R.story_id == story_id).order_by(_R.version.desc()).limit(limit)
    )
    return [_revision(row) for row in rows]


def _content(story_text: StoryText) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name in _TEXT_FIELDS
        if (value := getattr(story_text, name)) is not None
    }


def _revision(row: Row[Any]) -> Revision:
    content = {name: value for name, value in row.content.items() if name in _TEXT_FIELDS}
    for name in ("embargo_until", "expires_at"):
        if name in content:
            content[name] = datetime.fromisoformat(content[name])
    content["topics"] = tuple(content.get("topics", ()))
    return Revision(
        version=row.version,
        state=StoryState(row.state),
        text=StoryText(**content),
        saved_by=row.saved_by,
        saved_at=row.saved_at,
    )
