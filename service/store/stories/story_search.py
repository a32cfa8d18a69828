"""Which stories hold some words, however the words were typed.

Both sides are folded alike: compatibility forms unified, case and accents dropped, and what nobody
sees. Every word must be the beginning of one of the story's.
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
_HEADLINE = SQLModel.metadata.tables[StoryRow.__tablename__].c.headline


def search_words(text: str) -> list[str]:
    """Return the words that a person typed, as they are searched."""
    lower = unicodedata.normalize("NFKC", text).lower()
    plain = _UNSEEN.sub("", unicodedata.normalize("NFKD", lower))
    return [word[:LONGEST_WORD] for word in _WORD.findall(plain)][:MOST_WORDS]


def holds_words(text: str) -> ColumnElement[bool] | None:
    """Return the condition on a story; None where nothing was typed that could be searched."""
    words = search_words(text)
    if not words:
        return None
    query = " & ".join(f"'{word}':*" for word in words)
    return literal_column(STORY_WORDS).bool_op("@@")(
        func.to_tsquery(literal_column("'simple'::regconfig"), cast(literal(query, String), Text))
    )


def holds_text(text: str) -> ColumnElement[bool] | None:
    """Return the condition for the desk: the words, or the headline holds the text anywhere.

    The second reads every story, and finds what has no spaces between its words.
    """
    anywhere = [_HEADLINE.icontains(word, autoescape=True) for word in text.split()]
    if not anywhere:
        return None
    condition = holds_words(text)
    return and_(*anywhere) if condition is None else or_(condition, and_(*anywhere))
