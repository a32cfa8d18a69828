"""How a story's text is cleaned before it is saved: safe HTML, plain lines, a slug."""

import re
from collections.abc import Iterable
from dataclasses import replace

import nh3
from anyascii import anyascii

from service.domain.errors import Invalid
from service.domain.language import parse_language
from service.domain.media.pictures import is_own_path
from service.domain.story import MAX_BODY_BYTES, StoryText
from service.domain.topic import parse_path
from service.formats import text as any_text
from service.formats.incoming import Report
from service.formats.links import picture_address
from service.formats.markup import body_html, is_readable
from service.formats.markup_bounds import even_out

MAX_HEADLINE = 500
MAX_SUMMARY = 5000
MAX_AUTHOR = 200
MAX_IMAGE_ALT = 1000
MAX_TOPICS = 50
MAX_SLUG = 80
MAX_CLEAN_BYTES = 2 * MAX_BODY_BYTES
"""Of the HTML that a body becomes: escapes, end tags and attributes of ours add to it."""

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
    url_relative="pass_through",  # `body_html` leaves no relative address but our own pictures'
    link_rel="noopener noreferrer",
)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_WORD = re.compile(r"[a-z0-9]+")
_SLUG_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_SLUG_TAIL = 8


def edit(text: StoryText, base: str | None = None) -> StoryText:
    """Return the text as it is saved, or raise `Invalid`, which names the wrong field.

    Relative addresses of pictures and links are resolved against `base`.
    """
    text = replace(
        text,
        headline=plain_line(text.headline, "headline", MAX_HEADLINE),
        summary=plain_line(text.summary, "summary", MAX_SUMMARY),
        body=clean_body(text.body, base),
        author=plain_line(text.author, "author", MAX_AUTHOR),
        topics=check_topics(text.topics),
        language=parse_language(text.language),
        image_url=check_image_url(text.image_url, base),
        image_alt=plain_line(text.image_alt or "", "image_alt", MAX_IMAGE_ALT) or None,
    )
    if not any_text.says_something(text.headline):
        raise Invalid("headline", "A story needs a headline.")
    _check_dates(text)
    return text


def require_body(text: StoryText) -> None:
    """Refuse a text with nothing to read, which only a draft may have."""
    if not is_readable(text.body):
        raise Invalid(
            "body",
            "Nothing readable is left of the body: pictures need an absolute https address, "
            "and scripts, frames and forms are left out.",
        )


def plain_line(source: str, field: str, max_length: int) -> str:
    """Return one line of plain text: no tags, entities, controls or line breaks."""
    line = any_text.plain_line(source)
    if len(line) > max_length:
        raise Invalid(field, f"At most {max_length:,} characters; these are {len(line):,}.")
    return line


def clean_body(body: str, base: str | None = None) -> str:
    """Return the body as safe HTML; plain text becomes paragraphs.

    Links and pictures are absolute, resolved against `base`; a picture that has no https address
    is left out.
    """
    report = Report()
    markup = body_html(body, base, report, "body")
    for flaw in report.flaws:
        raise Invalid("body", _sentence(flaw.fault))
    even, _ = even_out(markup)
    cleaned = _clean(even).strip()
    if not any(tag[2].lower() in _BLOCKS for tag in _TAG.finditer(cleaned)):
        paragraphs, _ = even_out(_paragraphs(cleaned))
        cleaned = _clean(paragraphs)
    size = len(cleaned.encode())
    if size > MAX_CLEAN_BYTES:
        raise Invalid("body", f"At most {MAX_CLEAN_BYTES:,} bytes as HTML; these are {size:,}.")
    return cleaned


def _sentence(fault: str) -> str:
    return fault if fault[:1].isupper() else f"The body {fault}."


def _clean(markup: str) -> str:
    """Clean it; a control character may have been written as a reference in an attribute."""
    return any_text.clean_text(_CLEANER.clean(markup))


def _paragraphs(text: str) -> str:
    parts = (part.strip().replace("\n", "<br>\n") for part in _BLANK_LINE.split(text))
    return "\n".join(f"<p>{part}</p>" for part in parts if part)


def check_topics(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the normal form of the paths, each once, in the same order."""
    path_list = list(paths)
    if len(path_list) > MAX_TOPICS:
        raise Invalid("topics", f"At most {MAX_TOPICS} topics; these are {len(path_list)}.")
    return tuple(dict.fromkeys(parse_path(p, f"topics.{n}") for n, p in enumerate(path_list)))


def check_image_url(url: str | None, base: str | None = None) -> str | None:
    """Return an absolute https URL, or the path of a picture of ours; None without one."""
    if url is None or not url.strip():
        return None
    if is_own_path(url.strip()):
        return url.strip()
    address = picture_address(url, base)
    if address is None:
        raise Invalid("image_url", "Give an absolute https URL: pages show no other pictures.")
    return address


def _check_dates(text: StoryText) -> None:
    if text.embargo_until and text.expires_at and text.expires_at <= text.embargo_until:
        raise Invalid("expires_at", "The story would expire before its embargo lifts.")


def slug_of(headline: str, story_id: int) -> str:
    """Return the story's part of its page's URL: the headline in ASCII and a tail from the id.

    The tail makes it unique. A headline without a letter in ASCII becomes `story`.
    """
    words = _WORD.findall(anyascii(headline).lower().replace("'", ""))
    stem = "-".join(words)
    if len(stem) > MAX_SLUG:
        stem = stem[: MAX_SLUG + 1].rpartition("-")[0] or stem[:MAX_SLUG]
    return f"{stem}-{_tail(story_id)}" if stem else f"story-{_tail(story_id)}"


def _tail(story_id: int) -> str:
    digits = len(_SLUG_DIGITS)
    return "".join(_SLUG_DIGITS[story_id // digits**n % digits] for n in range(_SLUG_TAIL))
