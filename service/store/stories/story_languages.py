"""The languages that the stories are written in."""

from sqlalchemy import ColumnElement, func, text
from sqlmodel import Session, SQLModel

from service.domain.language import base_language
from service.store.schema import StoryRow

_LANGUAGE = SQLModel.metadata.tables[StoryRow.__tablename__].c.language
_NEWEST = 300
"""So many of the newest stories say which languages the site is in."""

_IN_USE = text("""
    SELECT split_part(language, '-', 1) AS base, count(*) AS n FROM (
        SELECT language FROM story WHERE state IN ('published', 'corrected')
        ORDER BY published_at DESC, id DESC LIMIT :newest) newest
    GROUP BY base ORDER BY n DESC, base LIMIT :limit""")


def in_language(tag: str | None) -> list[ColumnElement[bool]]:
    """Return the condition that a story is in this language, whatever its region; None: in any."""
    return [] if tag is None else [func.split_part(_LANGUAGE, "-", 1) == base_language(tag)]


def languages_in_use(session: Session, limit: int) -> list[str]:
    """Return the languages of the newest stories without regions, the most frequent first."""
    rows = session.execute(_IN_USE, {"newest": _NEWEST, "limit": limit})
    return [row.base for row in rows]
