"""Stories with all their texts, and what staff have typed and not saved yet."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from service.store.schema.columns import id_column, moment_column, reference_column

_NAMES = "headline || ' ' || summary || ' ' || author"
_WORDS = _NAMES + " || ' ' || left(body, 10000)"
_FOLDED = (
    "regexp_replace(normalize(lower(normalize({}, NFKC)), NFKD), "
    "'[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]', '', 'g')"
)
STORY_WORDS = f"to_tsvector('simple'::regconfig, {_FOLDED.format(_WORDS)})"
"""A story's words as they are searched: one form of each letter, without case, accents and what
nobody sees. The index and the query must say it alike."""
STORY_NAMES = _FOLDED.format(_NAMES)
"""Where names stand, in the same form: they are searched by likeness too. Its index `story_names`
needs an extension, so it is made where that is possible: `migrate.index_names`."""
STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
"""PostgreSQL's text search configurations (since 14) by language."""
_STEMMER = "CASE split_part(language, '-', 1) {} ELSE 'simple'::regconfig END".format(
    " ".join(f"WHEN '{tag}' THEN '{name}'::regconfig" for tag, name in STEMMERS.items())
)
STORY_STEMS = f"to_tsvector({_STEMMER}, lower(normalize({_WORDS}, NFKC)))"
"""The stems of a story's words in its own language; without a stemmer the words."""


class StoryRow(SQLModel, table=True):
    """A story with its newest text."""

    __tablename__: ClassVar[str] = "story"
    __table_args__: ClassVar[Any] = (
        Index(
            "story_newest",
            text("published_at DESC"),
            text("id DESC"),
            postgresql_where=text("state IN ('published', 'corrected')"),
        ),
        Index("story_topics", "topics", postgresql_using="gin"),
        Index("story_updated", text("updated_at DESC"), text("id DESC")),
        Index("story_words", text(STORY_WORDS), postgresql_using="gin"),
        Index("story_stems", text(STORY_STEMS), postgresql_using="gin"),
    )
    id: int = id_column()
    slug: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    source_uri: str | None = Field(default=None, sa_column=Column(Text, unique=True))
    version: int = Field(default=1, sa_column=Column(Integer, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    headline: str = Field(sa_column=Column(Text, nullable=False))
    summary: str = Field(sa_column=Column(Text, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    topics: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    language: str = Field(sa_column=Column(Text, nullable=False))
    author: str = Field(sa_column=Column(Text, nullable=False))
    image_url: str | None = Field(default=None, sa_column=Column(Text))
    image_alt: str | None = Field(default=None, sa_column=Column(Text))
    urgency: int | None = Field(default=None, sa_column=Column(SmallInteger))
    embargo_until: datetime | None = moment_column(nullable=True)
    expires_at: datetime | None = moment_column(nullable=True)
    created_at: datetime = moment_column(now=True)
    updated_at: datetime = moment_column(now=True)
    published_at: datetime | None = moment_column(nullable=True)


class RevisionRow(SQLModel, table=True):
    """One saved text of a story; corrections add, never overwrite."""

    __tablename__: ClassVar[str] = "revision"
    story_id: int = reference_column("story.id", primary_key=True)
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    content: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    saved_by: str = Field(default="", sa_column=Column(Text, nullable=False))
    saved_at: datetime = moment_column(now=True)


class AutosaveRow(SQLModel, table=True):
    """What a member of staff has typed and not saved yet; story 0 is one that has no row yet."""

    __tablename__: ClassVar[str] = "autosave"
    staff_id: int = reference_column("staff.id", primary_key=True)
    story_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    content: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    saved_at: datetime = moment_column(now=True)


class ReceivedStoryRow(SQLModel, table=True):
    """What a sender last sent under a name, beside what editors made of it.

    Without a story it is a kill of one that never came: what is older must not come in later.
    """

    __tablename__: ClassVar[str] = "received_story"
    __table_args__: ClassVar[Any] = (
        Index("received_story_by", "received_by"),
        Index(
            "received_story_alone",
            "received_at",
            postgresql_where=text("story_id IS NULL"),
        ),
    )
    uri: str = Field(sa_column=Column(Text, primary_key=True))
    story_id: int | None = reference_column("story.id", nullable=True)
    version: int | None = Field(default=None, sa_column=Column(Integer))
    updated_at: datetime | None = moment_column(nullable=True)
    content_hash: str | None = Field(default=None, sa_column=Column(Text))
    is_kill: bool = Field(sa_column=Column(Boolean, nullable=False))
    received_by: str = Field(sa_column=Column(Text, nullable=False))
    received_at: datetime = moment_column(now=True)
