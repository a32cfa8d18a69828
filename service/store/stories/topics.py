"""The table `topic`: the tree of interests, and every followed story's own topic."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Row, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.domain import topic as paths_of
from service.domain.errors import no_such
from service.domain.story import readable
from service.domain.topic import Topic
from service.store import paging
from service.store.schema import SubscriptionRow, TopicRow, new_id
from service.store.stories import stories
from service.store.stories.topic_tree import below, in_order

_TOPIC = SQLModel.metadata.tables[TopicRow.__tablename__]
_T = _TOPIC.c
_F = SQLModel.metadata.tables[SubscriptionRow.__tablename__].c
EXPENSIVE_S = 0.05
LONGEST_KEPT_S = 60.0
MOST_COUNTED = 10_000


def by_paths(session: Session, paths: Iterable[str]) -> dict[str, Topic]:
    """Return those of the topics that exist, by path, without counting followers."""
    rows = session.execute(select(_TOPIC).where(_T.path.in_(list(paths))))
    return {row.path: _topic(row) for row in rows}


def ensure(session: Session, paths: Iterable[str]) -> None:
    """Create those of the paths and of their ancestors that are missing."""
    all_paths = paths_of.with_ancestors(paths)
    existing = set(session.execute(select(_T.path).where(_T.path.in_(all_paths))).scalars())
    missing = [path for path in all_paths if path not in existing]
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
        raise no_such("story")
    session.execute(
        insert(_TOPIC)
        .values(id=story_id, path=paths_of.story_topic(story_id), label=story.text.headline)
        .on_conflict_do_nothing()
    )
    return story_id


def page(session: Session, cursor: str | None = None, limit: int = 50) -> paging.Page[Topic]:
    """Return topics with their followers, parents before children, without stories' own topics."""
    query = select(_TOPIC).where(not_(below("story"))).order_by(in_order).limit(limit + 1)
    after = paging.read_text(cursor)
    if after is not None:
        query = query.where(in_order > after)
    rows = [_topic(row) for row in session.execute(query)]
    topics = paging.cut(rows, limit, lambda last: paging.after_text(last.path))
    return replace(topics, items=with_followers(session, topics.items))


def search(session: Session, words: Sequence[str], limit: int) -> list[Topic]:
    """Return the topics whose names hold all of the words, those higher in the tree first."""
    if not words:
        return []
    holds = [_T.label.icontains(word, autoescape=True) for word in words]
    query = (
        select(_TOPIC)
        .where(not_(below("story")), *holds)
        .order_by(func.length(_T.path), in_order)
        .limit(limit)
    )
    return [_topic(row) for row in session.execute(query)]


def list_children(session: Session, path: str, limit: int) -> list[Topic]:
    """Return the topics right below one, by label."""
    return _list(session, below(path) & ~_T.path.like(f"{path}/%/%"), limit)


def _list(session: Session, condition: ColumnElement[bool], limit: int) -> list[Topic]:
    query = select(_TOPIC).where(condition).order_by(_T.label, _T.path).limit(limit)
    return [_topic(row) for row in session.execute(query)]


def with_followers(session: Session, topics: Sequence[Topic]) -> list[Topic]:
    """Return the topics with the number of readers who follow each one itself.

    What is cheap to count is counted now; an expensive count is kept for twenty times its time.
    """
    engine = session.get_bind()
    counts = _follower_counts.setdefault(engine, _FollowerCounts())
    missing = counts.missing([topic.id for topic in topics])
    if missing:
        began = time.monotonic()
        rows = session.execute(
            select(_F.topic_id, func.count()).where(_F.topic_id.in_(missing)).group_by(_F.topic_id)
        )
        new_counts = {topic_id: n for topic_id, n in rows}  # noqa: C416 - a result is no mapping
        counts.keep(dict.fromkeys(missing, 0) | new_counts, time.monotonic() - began)
    return [replace(topic, followers=counts.numbers.get(topic.id, 0)) for topic in topics]


@dataclass(slots=True)
class _FollowerCounts:
    """The followers last counted, and until when each number is recent enough. Bounded."""

    numbers: dict[int, int] = field(default_factory=dict)
    until: dict[int, float] = field(default_factory=dict)

    def missing(self, topic_ids: Sequence[int]) -> list[int]:
        """Return what must be counted; other calls meanwhile get the old numbers."""
        now = time.monotonic()
        outdated = [topic_id for topic_id in topic_ids if self.until.get(topic_id, 0.0) <= now]
        for topic_id in outdated:
            if self.until.get(topic_id, 0.0):
                self.until[topic_id] = now + EXPENSIVE_S
        return outdated

    def keep(self, numbers: dict[int, int], took: float) -> None:
        """Take new numbers, good for as long as they were expensive."""
        if len(self.numbers) > MOST_COUNTED:
            self.numbers.clear()
            self.until.clear()
        self.numbers.update(numbers)
        good_until = (
            time.monotonic() + min(20 * took, LONGEST_KEPT_S) if took > EXPENSIVE_S else 0.0
        )
        self.until.update(dict.fromkeys(numbers, good_until))


_follower_counts: WeakKeyDictionary[object, _FollowerCounts] = WeakKeyDictionary()


def _topic(row: Row[Any]) -> Topic:
    return Topic(id=row.id, path=row.path, label=row.label, parent=paths_of.parent_of(row.path))
