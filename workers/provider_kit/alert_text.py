"""The words of an alert as one device reads them: in its language, marked for direction, shortened.

No alert is refused for its length. Text is shortened between graphemes, which a reader sees as one
character: a Devanagari cluster, a flag or a family emoji is kept whole or left out whole.
"""

import json
import unicodedata

import regex

from service.domain.alert import Words
from service.domain.language import is_right_to_left
from service.domain.languages.language_lookup import index_texts, lookup_keys
from workers.provider import AlertContent

ELLIPSIS = "…"
RIGHT_TO_LEFT_MARK = "\u200f"


def choose_language(locale: str, content: AlertContent) -> str:
    """Return the tag of the words for the locale, by the lookup of RFC 4647, section 3.4.

    "" stands for the alert's default words.
    """
    tags = index_texts([content.language, *filter(None, content.words)])
    for key in lookup_keys(locale):
        if key in tags:
            return tags[key] if tags[key] in content.words else ""
    return ""


def words_for(tag: str, content: AlertContent) -> tuple[Words, str]:
    """Return the words under `tag`, marked for their direction, and their language."""
    words, language = content.words[tag], tag or content.language
    title, body = _replace_surrogates(words.title), _replace_surrogates(words.body)
    if is_right_to_left(language):
        title, body = _mark_lines(title), _mark_lines(body)
    return Words(title, body), language


def _mark_lines(text: str) -> str:
    """Put a right-to-left mark before each line that does not begin with right-to-left text.

    Screens take a line's direction from its first strong character (Unicode UAX #9, rule P2), and
    that may be a Latin name. The mark is such a character. An isolate (U+2067) is not: the rule
    skips it, and shortening could cut off its end.
    """
    return "\n".join(
        line if not line or _first_strong(line) in {"R", "AL"} else RIGHT_TO_LEFT_MARK + line
        for line in text.split("\n")
    )


def _first_strong(text: str) -> str:
    kinds = (unicodedata.bidirectional(char) for char in text)
    return next((kind for kind in kinds if kind in {"L", "R", "AL"}), "")


def _replace_surrogates(text: str) -> str:
    """Replace what UTF-8 cannot carry: half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def json_size(text: str) -> int:
    """Return the bytes that `text` takes between the quotes of a JSON string in UTF-8."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def fit_words(words: Words, room: int) -> Words:
    """Return the words, shortened to `room` bytes of JSON: the body first, then the title."""
    if json_size(words.title) + json_size(words.body) <= room:
        return words
    body = shorten_text(words.body, room - json_size(words.title))
    title = shorten_text(words.title, room - json_size(body))
    return Words(title, body)


def shorten_text(text: str, room: int) -> str:
    """Return the longest beginning of whole graphemes with an ellipsis that fits in `room`."""
    if json_size(text) <= room:
        return text
    room -= json_size(ELLIPSIS)
    beginning = _longest_beginning(regex.findall(r"\X", text), room)
    if not beginning:  # the first grapheme alone is too long: a stack of combining marks
        beginning = _longest_beginning(list(text), room)
    return beginning.rstrip() + ELLIPSIS if beginning else ""


def _longest_beginning(parts: list[str], room: int) -> str:
    size = 0
    for n, part in enumerate(parts):
        size += json_size(part)
        if size > room:
            return "".join(parts[:n])
    return "".join(parts)
