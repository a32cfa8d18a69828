"""Which stories hold some words, however the words were typed.

Both sides are folded alike: compatibility forms unified, case and accents dropped, and what nobody
sees. Every word must be the beginning of one of the story's. What PostgreSQL takes for one word, as
`U.S.` and `3.5`, is found as it was typed too.
"""

import re
import unicodedata

from sqlalchemy import ColumnElement, String, Text, and_, cast, func, literal, literal_column, or_
from sqlmodel import SQLModel

from service.store.schema import StoryRow
from service.store.schema.story_tables import STORY_WORDS

MOST_WORDS = 12
LONGEST_WORD = 60
_WORD = re.compile(r"\w+")
_UNSEEN = re.compile("[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]")
_UNQUOTABLE = re.compile(r"['\\\x00]")
_HEADLINE = SQLModel.metadata.tables[StoryRow.__tablename__].c.headline


def search_words(text: str) -> list[str]:
    """Return the words that a person typed, as they are searched."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(_fold(text))][:MOST_WORDS]


def holds_words(text: str) -> ColumnElement[bool] | None:
    """Return the condition on a story; None where nothing was typed that could be searched."""
    terms = list(filter(None, map(_term, _fold(text).split())))[:MOST_WORDS]
    if not terms:
        return None
    query = " & ".join(terms)
    return literal_column(STORY_WORDS).bool_op("@@")(
        func.to_tsquery(literal_column("'simple'::regconfig"), cast(literal(query, String), Text))
    )


def _fold(text: str) -> str:
    lower = unicodedata.normalize("NFKC", text).lower()
    return _UNSEEN.sub("", unicodedata.normalize("NFKD", lower))


def _term(typed: str) -> str:
    """Return the term of a query for what was typed between two spaces; empty without a word."""
    words = search_words(typed)
    term = " & ".join(f"'{word}':*" for word in words)
    if len(words) <= 1:
        return term
    whole = _UNQUOTABLE.sub(" ", typed)[:LONGEST_WORD]
    return f"('{whole}':* | {term})"


def holds_text(text: str) -> ColumnElement[bool] | None:
    """Return the condition for the desk: the words, or the headline holds the text anywhere.

    The second reads every story, and finds what has no spaces between its words.
    """
    anywhere = [_HEADLINE.icontains(word, autoescape=True) for word in text.split()]
    if not anywhere:
        return None
    condition = holds_words(text)
    return and_(*anywhere) if condition is None else or_(condition, and_(*anywhere))
