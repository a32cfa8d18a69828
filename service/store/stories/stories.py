"""The table `story`: a story as it stands, and how stories are listed and searched."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Text,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import Session, SQLModel

from service.domain.story import Story, StoryState, StoryText
from service.store import paging
from service.store.paging import Page
from service.store.schema import StoryRow, TopicRow
from service.store.stories import story_revisions
from service.store.stories.story_languages import in_language
from service.store.stories.story_search import holds_text, holds_words, prefer_indexes, similarity
from service.store.stories.topic_tree import at_or_below

_STORY = SQLModel.metadata.tables[StoryRow.__tablename__]
_S = _STORY.c
_T = SQLModel.metadata.tables[TopicRow.__tablename__].c
_COLUMNS = tuple(_S)
_WITHOUT_BODY = tuple(column for column in _COLUMNS if column.name != "body")
_INSERT = insert(_STORY).on_conflict_do_nothing().returning(_S.id)
_SELECT = select(*_COLUMNS)
_STORY_FIELDS = tuple(field.name for field in fields(Story) if field.name != "text")
_TEXT_FIELDS = tuple(field.name for field in fields(StoryText))


def url(site: str, slug: str) -> str:
    """Return the address of a story's page; `site` is the setting PUBLIC_URL."""
    return f"{site}/stories/{slug}"


def add(session: Session, story: Story, saved_by: str) -> bool:
    """Keep a new story and its first revision; False when its source or slug is taken.

    Waits for another transaction that is adding the same source.
    """
    new_row = session.execute(_INSERT, _values(story)).first()
    if new_row is not None:
        story_revisions.add(session, story, saved_by)
    return new_row is not None


def save(session: Session, story: Story, saved_by: str) -> None:
    """Keep a story's new text as its next revision."""
    set_state(session, story)
    story_revisions.add(session, story, saved_by)


def set_state(session: Session, story: Story) -> None:
    """Keep a story as it stands now, without a revision: its text is the one before."""
    session.execute(update(_STORY).where(_S.id == story.id).values(_values(story)))


def get(session: Session, story_id: int) -> Story | None:
    """Return a story in whatever state."""
    return _one(session, _S.id == story_id)


def lock(session: Session, story_id: int) -> Story | None:
    """Return a story that no other transaction changes, alerts or retracts before this one ends."""
    return _one(session, _S.id == story_id, lock=True)


def lock_source(session: Session, source_uri: str) -> Story | None:
    """Return the story of a source, locked like `lock`."""
    return _one(session, _S.source_uri == source_uri, lock=True)


def by_slug(session: Session, slug: str) -> Story | None:
    """Return the story whose page has this slug, in whatever state."""
    return _one(session, _S.slug == slug)


def many(session: Session, story_ids: Iterable[int]) -> dict[int, Story]:
    """Return those of the stories that exist, by id, without their bodies."""
    rows = session.execute(select(*_WITHOUT_BODY).where(_S.id.in_(list(story_ids))))
    return {row.id: _story(row) for row in rows}


def newest(
    session: Session,
    topic: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
    *,
    longest_body: int = 0,
    condition: ColumnElement[bool] | None = None,
    language: str | None = None,
) -> Page[Story]:
    """Return public stories, the newest first, of a topic and all below it, in a language if named.

    A body of more than `longest_body` bytes is left empty: fifty may weigh a hundred megabytes.
    """
    is_short = func.octet_length(_S.body) <= longest_body
    body = (case((is_short, _S.body), else_="").label("body"),) if longest_body else ()
    query = (
        select(*_WITHOUT_BODY, *body)
        .where(*_readable(), *_about(topic), *in_language(language))
        .where(true() if condition is None else condition)
        .order_by(_S.published_at.desc(), _S.id.desc())
        .limit(limit + 1)
    )
    after = paging.read_moment(cursor)
    if after is not None:
        query = query.where(tuple_(_S.published_at, _S.id) < tuple_(*after))
    stories = [_story(row) for row in session.execute(query)]
    return paging.cut(stories, limit, _cursor_by_publication)


def search(
    session: Session,
    words: str,
    topic: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Story]:
    """Return public stories that hold all of the words, the newest first, without their bodies."""
    condition = holds_words(words)
    if condition is None:
        return Page([], None)
    prefer_indexes(session)
    return newest(session, topic, cursor, limit, condition=condition)


def similar(
    session: Session,
    words: str,
    topic: str | None = None,
    limit: int = 50,
    *,
    states: Iterable[StoryState] = (),
) -> list[Story]:
    """Return public stories, or those of the states, whose names are like the words.

    The most alike come first. It is for words that no story holds, as in a name typed wrongly.
    """
    likeness = similarity(session, words)
    if likeness is None:
        return []
    condition, score = likeness
    visible = (_S.state.in_(list(states)),) if states else _readable()
    query = (
        select(*_WITHOUT_BODY)
        .where(*visible, *_about(topic), condition)
        .order_by(score.desc(), _S.updated_at.desc(), _S.id.desc())
        .limit(limit)
    )
    return [_story(row) for row in session.execute(query)]


def next_older(
    session: Session, story: Story, topic: str | None = None, language: str | None = None
) -> Story | None:
    """Return the public story just before this one, of a topic and in a language if named."""
    before = (story.published_at or story.created_at, story.id)
    row = session.execute(
        select(*_COLUMNS)
        .where(*_readable(), *_about(topic), *in_language(language))
        .where(tuple_(_S.published_at, _S.id) < tuple_(*before))
        .order_by(_S.published_at.desc(), _S.id.desc())
        .limit(1)
    ).first()
    return None if row is None else _story(row)


def page(
    session: Session,
    cursor: str | None = None,
    limit: int = 50,
    *,
    states: Iterable[StoryState] = tuple(StoryState),
    words: str = "",
) -> Page[Story]:
    """Return stories of any state for the desk, last touched first, without their bodies.

    `words` narrows to stories that hold all of them.
    """
    condition = holds_text(words)
    if condition is not None:
        prefer_indexes(session)
    query = (
        select(*_WITHOUT_BODY)
        .where(_S.state.in_(list(states)))
        .where(true() if condition is None else condition)
        .order_by(_S.updated_at.desc(), _S.id.desc())
        .limit(limit + 1)
    )
    after = paging.read_moment(cursor)
    if after is not None:
        query = query.where(tuple_(_S.updated_at, _S.id) < tuple_(*after))
    stories = [_story(row) for row in session.execute(query)]
    return paging.cut(stories, limit, lambda last: paging.after_moment(last.updated_at, last.id))


def _one(session: Session, where: ColumnElement[bool], *, lock: bool = False) -> Story | None:
    query = _SELECT.where(where)
    if lock:
        # Ids never change, so a transaction that only refers to the story need not wait, as a plan:
        # a second Send Push waits for that very plan, and both would wait for ever.
        query = query.with_for_update(key_share=True)
    row = session.execute(query).first()
    return None if row is None else _story(row)


def _readable() -> tuple[ColumnElement[bool], ...]:
    """Return what `domain.story.readable` asks, in SQL.

    The states stand there as literals, because the partial index serves only those who say so.
    """
    public: list[ColumnElement[str]] = [
        literal_column(f"'{state}'") for state in StoryState if state.public
    ]
    embargo = _S.embargo_until
    return (_S.state.in_(public), or_(embargo.is_(None), embargo <= func.now()))


def _about(topic: str | None) -> tuple[ColumnElement[bool], ...]:
    if topic is None:
        return ()
    paths = select(_T.path).where(at_or_below(topic)).scalar_subquery()
    return (_S.topics.overlap(func.array(paths, type_=ARRAY(Text))),)


def _cursor_by_publication(story: Story) -> str:
    return paging.after_moment(story.published_at or story.created_at, story.id)


def _values(story: Story) -> dict[str, Any]:
    values = {name: getattr(story, name) for name in _STORY_FIELDS}
    words = {name: getattr(story.text, name) for name in _TEXT_FIELDS}
    return values | words | {"topics": list(story.text.topics)}


def _story(row: Row[Any]) -> Story:
    return Story(
        id=row.id,
        slug=row.slug,
        version=row.version,
        state=StoryState(row.state),
        source_uri=row.source_uri,
        created_at=row.created_at,
        updated_at=row.updated_at,
        published_at=row.published_at,
        text=StoryText(
            headline=row.headline,
            summary=row.summary,
            body=getattr(row, "body", ""),
            topics=tuple(row.topics),
            language=row.language,
            author=row.author,
            image_url=row.image_url,
            image_alt=row.image_alt,
            urgency=row.urgency,
            embargo_until=row.embargo_until,
            expires_at=row.expires_at,
        ),
    )
