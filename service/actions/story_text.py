"""What the copy desk does to a text before it is kept: safe HTML, plain lines, a slug."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

import nh3
from anyascii import anyascii

from service.domain.errors import Invalid
from service.domain.language import parse_language
from service.domain.story import MAX_BODY_BYTES, StoryText
from service.domain.topic import parse_path

MAX_HEADLINE = 500
MAX_SUMMARY = 5000
MAX_AUTHOR = 200
MAX_URL = 2048
MAX_TOPICS = 50
MAX_SLUG = 80
DEEPEST_NESTING = 256
"""Nobody writes deeper; parsing costs the square of it, and minutes for a megabyte of <div>."""

_BLOCKS = frozenset(
    {"address", "aside", "blockquote", "dd", "div", "dl", "dt", "figcaption", "figure", "h2", "h3"}
    | {"h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "section", "table", "ul"}
)
_TAGS = (
    _BLOCKS
    | {"a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "del", "em", "i", "img", "ins", "kbd"}
    | {"mark", "q", "s", "small", "span", "strong", "sub", "sup", "time", "u", "wbr"}
    | {"caption", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_CLOSED_BY_THEMSELVES = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source"}
    | {"track", "wbr", "caption", "colgroup", "dd", "dt", "li", "optgroup", "option", "p", "rp"}
    | {"rt", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={"script", "style", "title", "iframe", "noscript", "template"},
    attributes={
        "*": {"lang", "dir", "title"},
        "a": {"href", "hreflang"},
        "blockquote": {"cite"},
        "img": {"src", "alt", "width", "height"},
        "li": {"value"},
        "ol": {"start", "reversed"},
        "q": {"cite"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan", "scope"},
        "time": {"datetime"},
    },
    set_tag_attribute_values={"img": {"loading": "lazy"}},
    url_schemes={"http", "https", "mailto", "tel"},
    url_relative="deny",
    link_rel="noopener noreferrer",
)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
_HEADING_1 = re.compile(r"<(/?)h1\b", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_SPACE = re.compile(r"[ \t\n\r\f\v\x85\u2028\u2029]+")
_WORD = re.compile(r"[a-z0-9]+")
_SLUG_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_SLUG_TAIL = 8


def edit(text: StoryText) -> StoryText:
    """Return the text as it is kept, or raise `Invalid` naming the field at fault."""
    edited = replace(
        text,
        headline=plain_line(text.headline, "headline", MAX_HEADLINE),
        summary=plain_line(text.summary, "summary", MAX_SUMMARY),
        body=clean_body(text.body),
        author=plain_line(text.author, "author", MAX_AUTHOR),
        topics=check_topics(text.topics),
        language=parse_language(text.language),
        image_url=check_image_url(text.image_url),
    )
    if not _says_something(edited.headline):
        raise Invalid("headline", "A story needs a headline.")
    _check_dates(edited)
    return edited


def require_body(text: StoryText) -> None:
    """Refuse a text without anything to read: good enough for a draft only."""
    if not _says_something(html.unescape(re.sub(r"<[^>]*>", "", text.body))) and (
        "<img" not in text.body
    ):
        raise Invalid("body", "Nothing readable is left of the body.")


def plain_line(text: str, field: str, longest: int) -> str:
    """Return one line without control characters; tags in it are text like any other."""
    line = _SPACE.sub(" ", without_controls(text)).strip()
    if len(line) > longest:
        raise Invalid(field, f"At most {longest:,} characters; these are {len(line):,}.")
    return line


def without_controls(text: str) -> str:
    """Drop control characters but tab and line ends; what joins letters and emoji stays."""
    return "".join(
        c for c in text if c in "\t\n\r\x85" or unicodedata.category(c) not in ("Cc", "Cs")
    )


def clean_body(body: str) -> str:
    """Return the body as safe HTML; plain text becomes paragraphs."""
    size = len(body.encode("utf-8", "replace"))
    if size > MAX_BODY_BYTES:
        raise Invalid("body", f"At most {MAX_BODY_BYTES:,} bytes; these are {size:,}.")
    text = without_controls(body.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not nh3.is_html(text):
        return _CLEANER.clean(_paragraphs(html.escape(html.unescape(text), quote=False)))
    _check_nesting(text)
    cleaned = _CLEANER.clean(_HEADING_1.sub(r"<\1h2", text)).strip()
    if any(found[2].lower() in _BLOCKS for found in _TAG.finditer(cleaned)):
        return cleaned
    return _CLEANER.clean(_paragraphs(cleaned))


def _paragraphs(text: str) -> str:
    parts = (part.strip().replace("\n", "<br>\n") for part in _BLANK_LINE.split(text))
    return "\n".join(f"<p>{part}</p>" for part in parts if part)


def _check_nesting(text: str) -> None:
    """Refuse tags nested so deeply that cleaning them would take minutes.

    Counted per name and from above: a closing tag counts only after an opening one of its name.
    """
    still_open: Counter[str] = Counter()
    depth = 0
    for found in _TAG.finditer(text):
        name = found[2].lower()
        if name in _CLOSED_BY_THEMSELVES:
            continue
        if not found[1]:
            still_open[name] += 1
            depth += 1
        elif still_open[name]:
            still_open[name] -= 1
            depth -= 1
        if depth > DEEPEST_NESTING:
            raise Invalid("body", f"Tags are nested more than {DEEPEST_NESTING} deep.")


def check_topics(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths in their one spelling, each once, in the order given."""
    given = list(paths)
    if len(given) > MAX_TOPICS:
        raise Invalid("topics", f"At most {MAX_TOPICS} topics; these are {len(given)}.")
    return tuple(dict.fromkeys(parse_path(p, f"topics.{n}") for n, p in enumerate(given)))


def check_image_url(url: str | None) -> str | None:
    """Return an absolute http or https URL, None for none."""
    if url is None or not url.strip():
        return None
    address = url.strip()
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or len(address) > MAX_URL or any(c.isspace() or c in '<>"\\' for c in address):
        raise Invalid("image_url", "Give an absolute http or https URL.")
    if without_controls(address) != address:
        raise Invalid("image_url", "Control characters have no place in a URL.")
    return address


def _check_dates(text: StoryText) -> None:
    if text.embargo_until and text.expires_at and text.expires_at <= text.embargo_until:
        raise Invalid("expires_at", "The story would expire before its embargo lifts.")


def _says_something(text: str) -> bool:
    """Whether a person would see anything: not only spaces and invisible characters."""
    return any(unicodedata.category(c)[0] not in "ZC" for c in text)


def slug_of(headline: str, story_id: int) -> str:
    """Return the story's part of its page's address: readable ASCII and a tail of its own.

    The tail makes it unique, and stands alone where no letter of the headline can be spelt.
    """
    words = _WORD.findall(anyascii(headline).lower().replace("'", ""))
    stem = "-".join(words)
    if len(stem) > MAX_SLUG:
        stem = stem[: MAX_SLUG + 1].rpartition("-")[0] or stem[:MAX_SLUG]
    return f"{stem}-{_tail(story_id)}" if stem else f"story-{_tail(story_id)}"


def _tail(story_id: int) -> str:
    digits = len(_SLUG_DIGITS)
    return "".join(_SLUG_DIGITS[story_id // digits**n % digits] for n in range(_SLUG_TAIL))
