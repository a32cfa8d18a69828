"""The words of an alert as one device reads them: its language, its direction, its room.

An alert is never refused for its length. It is shortened between graphemes, what a reader sees as
one character: a Devanagari cluster, a flag or a family stays whole or goes whole.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from typing import TypeVar

import regex

from service.domain.alert import Words
from service.domain.language import is_right_to_left
from workers.provider import AlertContent

ELLIPSIS = "…"
RIGHT_TO_LEFT_MARK = "\u200f"

Form = TypeVar("Form")


class ByLocale(dict[str, Form]):
    """What `make` gives for an alert's words and their language, by a device's locale.

    It is made once per language of the alert, however many locales lead to it.
    """

    def __init__(self, content: AlertContent, make: Callable[[Words, str], Form]) -> None:
        super().__init__()
        self._content = content
        self._make = make
        self._made: dict[str, Form] = {}

    def __missing__(self, locale: str) -> Form:
        tag = choose(locale, self._content)
        if tag not in self._made:
            self._made[tag] = self._make(*words_in(tag, self._content))
        self[locale] = form = self._made[tag]
        return form


def choose(locale: str, content: AlertContent) -> str:
    """Return the tag of the alert's words that suit the locale best: RFC 4647 lookup."""
    known = {content.language.lower(): ""}
    known |= {tag.lower(): tag for tag in content.words if tag}
    subtags = re.split(r"[.@]", locale, maxsplit=1)[0].replace("_", "-").lower().split("-")
    while subtags:
        found = known.get("-".join(subtags))
        if found is not None:
            return found
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
    return ""


def words_in(tag: str, content: AlertContent) -> tuple[Words, str]:
    """Return the words under `tag`, marked for their direction, and their language."""
    words, language = content.words[tag], tag or content.language
    title, body = _clean(words.title), _clean(words.body)
    if is_right_to_left(language):
        title, body = _marked(title), _marked(body)
    return Words(title, body), language


def _marked(text: str) -> str:
    """Begin each line that does not show its direction by itself with a right-to-left mark.

    Screens take a line's direction from its first strong character, which may be a Latin name.
    A mark is one; an isolate (U+2067) is skipped by that rule, and shortening could unpair it.
    """
    return "\n".join(
        line if not line or _first_strong(line) in {"R", "AL"} else RIGHT_TO_LEFT_MARK + line
        for line in text.split("\n")
    )


def _first_strong(text: str) -> str:
    kinds = (unicodedata.bidirectional(char) for char in text)
    return next((kind for kind in kinds if kind in {"L", "R", "AL"}), "")


def _clean(text: str) -> str:
    """Replace what UTF-8 cannot carry: half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def json_size(text: str) -> int:
    """Return the bytes that `text` takes between the quotes of a JSON string in UTF-8."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def fit(words: Words, room: int) -> tuple[Words, bool]:
    """Return the words in `room` bytes of JSON, and whether that took shortening.

    The body gives way first, then the title.
    """
    if json_size(words.title) + json_size(words.body) <= room:
        return words, False
    body = shorten(words.body, room - json_size(words.title))
    title = shorten(words.title, room - json_size(body))
    return Words(title, body), True


def shorten(text: str, room: int) -> str:
    """Return the longest beginning of whole graphemes with an ellipsis that fits in `room`."""
    if json_size(text) <= room:
        return text
    spare = room - json_size(ELLIPSIS)
    kept = _beginning(regex.findall(r"\X", text), spare)
    if not kept:  # one grapheme larger than the room: a heap of combining marks
        kept = _beginning(list(text), spare)
    return kept.rstrip() + ELLIPSIS if kept else ""


def _beginning(parts: list[str], room: int) -> str:
    taken = 0
    for n, part in enumerate(parts):
        taken += json_size(part)
        if taken > room:
            return "".join(parts[:n])
    return "".join(parts)
