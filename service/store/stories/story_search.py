"""Which stories hold some words, however the words were typed.

Both sides are folded alike: compatibility forms unified, case and accents dropped, and what nobody
sees. Every word must be the beginning of one of the story's. What PostgreSQL takes for one word, as
`U.S.` and `3.5`, is found as it was typed too.

A story also holds words whose stems it holds, by the rules of its own language: `floods` finds
`flooding`. The language of what was typed is not known, so it is read by the rules of each.
"""

import re
import unicodedata
from functools import reduce

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Text,
    and_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlmodel import Session, SQLModel

from service.store.schema import StoryRow
from service.store.schema.story_tables import STEMMERS, STORY_NAMES, STORY_STEMS, STORY_WORDS

MOST_WORDS = 12
LONGEST_WORD = 60
SHORTEST_NAME = 4
"""Letters; below them nearly every word is like another."""
MOST_COMPARED = 200
"""Stories whose likeness is computed: a frequent word typed wrongly is like something in all."""
LEAST_SIMILARITY = 0.4
"""Of pg_trgm, for whole words: `merkle` and `merkel` share 0.4."""
_WORD = re.compile(r"\w+")
_UNSEEN = re.compile("[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]")
_UNQUOTABLE = re.compile(r"['\\\x00]")
_STORY = SQLModel.metadata.tables[StoryRow.__tablename__]


def search_words(text: str) -> list[str]:
    """Return the words that a person typed, as they are searched."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(_fold(text))][:MOST_WORDS]


def holds_words(text: str) -> ColumnElement[bool] | None:
    """Return the condition on a story; None where nothing was typed that could be searched."""
    terms = list(filter(None, map(_term, _fold(text).split())))[:MOST_WORDS]
    if not terms:
        return None
    query = func.to_tsquery(literal_column("'simple'::regconfig"), _text(" & ".join(terms)))
    condition = or_(
        literal_column(STORY_WORDS).bool_op("@@")(query),
        literal_column(STORY_STEMS).bool_op("@@")(_stems(text)),
    )
    return _STORY.c.id.in_(_all_at_once(condition))


def prefer_indexes(session: Session) -> None:
    """Let the queries of this transaction go by indexes.

    PostgreSQL takes the words of a story for cheap to compute. They are not: for a frequent word it
    would compute those of every story, which takes longer than a statement may.
    """
    session.execute(select(func.set_config("enable_seqscan", "off", True)))


def similarity(
    session: Session, text: str
) -> tuple[ColumnElement[bool], ColumnElement[float]] | None:
    """Return the condition that a story's names are like what was typed, and how like they are.

    None without a long word, and where PostgreSQL cannot tell (see `migrate.index_names`). Sets
    how much alike is enough for the rest of the transaction.
    """
    words = [word for word in search_words(text) if len(word) >= SHORTEST_NAME]
    if not words or not session.scalar(select(func.to_regclass("story_names").is_not(None))):
        return None
    prefer_indexes(session)
    setting = "pg_trgm.strict_word_similarity_threshold"
    session.execute(select(func.set_config(setting, str(LEAST_SIMILARITY), True)))
    names: ColumnElement[str] = literal_column(STORY_NAMES)
    condition = and_(*(names.bool_op("%>>")(_text(word)) for word in words))
    scores = [func.strict_word_similarity(_text(word), names) for word in words]
    return _STORY.c.id.in_(_all_at_once(condition, MOST_COMPARED)), reduce(
        lambda total, score: total + score, scores
    )


def _all_at_once(condition: ColumnElement[bool], most: int | None = None) -> Select[tuple[int]]:
    """Return the ids of the stories that meet a condition, found by its index before all else.

    Otherwise PostgreSQL may go through the stories from the newest on and compute the words of
    each one, which takes longer than a statement may.
    """
    match = _STORY.alias("match")
    return select(match.c.id).where(condition).limit(most).offset(0)


def _stems(text: str) -> ColumnElement[str]:
    """Return the query for the stems of what was typed, in any of the languages."""
    words = unicodedata.normalize("NFKC", text).lower().replace("\0", " ").split()
    phrase = _text(" ".join(word[:LONGEST_WORD] for word in words[:MOST_WORDS]))
    configurations = sorted({"simple", *STEMMERS.values()})
    queries = [
        func.plainto_tsquery(literal_column(f"'{name}'::regconfig"), phrase)
        for name in configurations
    ]
    return reduce(lambda query, other: query.op("||")(other), queries)


def _text(value: str) -> ColumnElement[str]:
    return cast(literal(value, String), Text)


def _fold(text: str) -> str:
    lower = unicodedata.normalize("NFKC", text).lower()
    return _UNSEEN.sub("", unicodedata.normalize("NFKD", lower))


def _term(token: str) -> str:
    """Return the term of a query for what was typed between two spaces; empty without a word."""
    words = search_words(token)
    term = " & ".join(f"'{word}':*" for word in words)
    if len(words) <= 1:
        return term
    phrase = _UNQUOTABLE.sub(" ", token)[:LONGEST_WORD]
    return f"('{phrase}':* | {term})"


def holds_text(text: str) -> ColumnElement[bool] | None:
    """Return the condition for the desk: the words, or the headline holds the text anywhere.

    The second reads every story, and finds what has no spaces between its words.
    """
    anywhere = [
        _STORY.c.headline.icontains(word, autoescape=True)
        for word in text.replace("\0", " ").split()
    ]
    if not anywhere:
        return None
    condition = holds_words(text)
    return and_(*anywhere) if condition is None else or_(condition, and_(*anywhere))
