"""The table `topic`: the tree of interests, and every followed story's own topic."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, func, literal_column, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.domain import topic as paths_of
from service.domain.errors import NotFound
from service.domain.story import readable
from service.domain.topic import Topic
from service.store import paging, stories
from service.store.below import below
from service.store.schema import SubscriptionRow, TopicRow, new_id

_TOPIC = SQLModel.metadata.tables[TopicRow.__tablename__]
_T = _TOPIC.c
_F = SQLModel.metadata.tables[SubscriptionRow.__tablename__].c
_IN_ORDER = _T.path.collate("C")
"""Byte order: parents before their children, whatever language the database speaks."""


def by_paths(session: Session, paths: Iterable[str]) -> dict[str, Topic]:
    """Return those of the topics that exist, by path, without counting followers."""
    rows = session.execute(select(_TOPIC).where(_T.path.in_(list(paths))))
    return {row.path: _topic(row) for row in rows}


def ensure(session: Session, paths: Iterable[str]) -> None:
    """Create those of the paths and of their ancestors that are missing."""
    wanted = paths_of.with_ancestors(paths)
    known = set(session.execute(select(_T.path).where(_T.path.in_(wanted))).scalars())
    missing = [path for path in wanted if path not in known]
    if missing:
        rows = [{"id": new_id(), "path": p, "label": paths_of.label_from(p)} for p in missing]
        session.execute(insert(_TOPIC).values(rows).on_conflict_do_nothing())


def label(session: Session, path: str, words: str) -> None:
    """Give a topic its name for people."""
    session.execute(update(_TOPIC).where(_T.path == path).values(label=words))


def ensure_story_topic(session: Session, story_id: int) -> int:
    """Return the topic by which a story is followed, created at its first follower.

    `NotFound` for a story that readers cannot see.
    """
    story = stories.get(session, story_id)
    now = session.execute(select(func.now())).scalar_one()
    if story is None or not readable(story, now):
        raise NotFound("There is no such story.")
    session.execute(
        insert(_TOPIC)
        .values(id=story_id, path=paths_of.story_topic(story_id), label=story.text.headline)
        .on_conflict_do_nothing()
    )
    return story_id


def page(session: Session, cursor: str | None = None, limit: int = 50) -> paging.Page[Topic]:
    """Return topics, parents before their children, without stories' own and without counts."""
    query = (
        select(_TOPIC)
        .where(not_(below("story")), _T.path != "story")
        .order_by(_IN_ORDER)
        .limit(limit + 1)
    )
    after = paging.read_text(cursor)
    if after is not None:
        query = query.where(_IN_ORDER > after)
    found = [_topic(row) for row in session.execute(query)]
    return paging.cut(found, limit, lambda last: paging.after_text(last.path))
