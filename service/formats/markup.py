"""HTML of a story: safe, with absolute links and pictures that will show."""

import html
import re

import nh3

from service.domain.errors import Invalid
from service.formats.incoming import Report
from service.formats.links import absolute_link, picture_address
from service.formats.markup_bounds import even_out
from service.formats.text import clean_text, decode_references, plain_line, says_something

MAX_BODY_BYTES = 1024 * 1024

BLOCKS = frozenset(
    {"address", "aside", "blockquote", "dd", "div", "dl", "dt", "figcaption", "figure", "h2", "h3"}
    | {"h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "section", "table", "ul"}
)
_TAGS = (
    BLOCKS
    | {"a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "del", "em", "i", "img", "ins", "kbd"}
    | {"mark", "q", "s", "small", "span", "strong", "sub", "sup", "time", "u", "wbr"}
    | {"caption", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_LAZY_SOURCES = ("src", "data-src", "data-lazy-src", "data-original")
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={"script", "style", "title", "iframe", "noscript", "template"},
    attributes={
        "*": {"lang", "dir", "title"},
        "a": {"href", "hreflang"},
        "blockquote": {"cite"},
        "img": {*_LAZY_SOURCES, "srcset", "alt", "width", "height"},
        "li": {"value"},
        "ol": {"start", "reversed"},
        "q": {"cite"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan", "scope"},
        "time": {"datetime"},
    },
    url_schemes={"http", "https", "mailto", "tel"},
    link_rel="noopener noreferrer",
)
"""Relative addresses pass; they are resolved in what it writes, where `<`, `>` and quotes in
attributes are escaped, so that a tag is found by its own brackets."""

_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
_LINK = re.compile(r'<(a|blockquote|q)((?:\s+[^\s="<>/]+(?:="[^"]*")?)+)\s*>')
_IMAGE = re.compile(r'<img((?:\s+[^\s="<>/]+(?:="[^"]*")?)*)\s*/?>')
_ATTRIBUTE = re.compile(r'([^\s="<>/]+)="([^"]*)"')
_EMPTY = re.compile(r"<(figure|p|a|picture|span|div)(?:\s[^<>]*)?>\s*</\1>")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_FIRST_HEADING = re.compile(r"\s*(?:<(?:section|div)>\s*){0,3}<h2>([^<]*)</h2>\s*")
_BLOCK_END = re.compile(r"</(?:p|div|h[2-6]|li|blockquote|figure)>")
_MOST_BLOCKS = 40
_ONE_PIXEL = "1"
_GLANCE = 2000
_SIZE = re.compile(r"[0-9]{1,5}(?=(?:px)?$)")


def body_html(markup: str, base: str | None, report: Report, place: str) -> str:
    """Return a body as safe HTML with absolute links; text without tags becomes paragraphs.

    A picture is resolved against `base` and upgraded to https; one that cannot be is left out with
    a remark. Too large a body, or one whose markup is out of bounds, is a flaw, and the answer is
    empty.
    """
    size = len(markup.encode("utf-8", "replace"))
    if size > MAX_BODY_BYTES:
        report.flaw(place, f"has {size:,} bytes; at most {MAX_BODY_BYTES:,} are taken")
        return ""
    text = clean_text(markup.replace("\r\n", "\n").replace("\r", "\n")).strip()
    try:
        text, has_markup = even_out(text)
    except Invalid as refusal:
        report.flaw(place, refusal.detail)
        return ""
    if not has_markup:
        return text_html(decode_references(text))
    safe = clean_text(_CLEANER.clean(text))
    text = _LINK.sub(lambda tag: _link_tag(tag, base, report, place), safe)
    text = _IMAGE.sub(lambda image: _image_tag(image[1], base, report, place), text)
    body = _without_empty_tags(text).strip()
    if any(tag[2].lower() in BLOCKS for tag in _TAG.finditer(body)):
        return body
    return _paragraphs(body)


def text_html(text: str) -> str:
    """Return plain text as paragraphs; blank lines part them, single line ends stay."""
    return _paragraphs(html.escape(clean_text(text).strip(), quote=False))


def is_readable(body: str) -> bool:
    """Whether a body shows anything: a word or a picture."""
    start = plain_line(body[:_GLANCE])
    return "<img" in body or says_something(start) or says_something(plain_line(body))


def first_paragraph(body: str) -> str:
    """Return the first block of a body that has words, as one plain line."""
    for block in _BLOCK_END.split(body, maxsplit=_MOST_BLOCKS):
        line = plain_line(block)
        if says_something(line):
            return line
    return ""


def without_repeated_headline(body: str, headline: str) -> str:
    """Drop a first heading that only repeats the headline: the page shows that itself."""
    heading = _FIRST_HEADING.match(body)
    if heading is None or plain_line(heading[1]).casefold() != headline.casefold():
        return body
    return body[: heading.start(1)].removesuffix("<h2>") + body[heading.end() :]


def picture_html(url: str, alt: str, caption: str = "") -> str:
    """Return a figure of one picture."""
    words = f"<figcaption>{html.escape(caption, quote=False)}</figcaption>" if caption else ""
    return f'<figure><img src="{html.escape(url)}" alt="{html.escape(alt)}">{words}</figure>'


def first_image(body: str) -> tuple[str, str] | None:
    """Return address and alternative text of the first picture of a clean body."""
    for image in _IMAGE.finditer(body):
        attributes = _attributes(image[1])
        if attributes.get("src"):
            return attributes["src"], attributes.get("alt", "")
    return None


def pixels(text: object) -> int | None:
    """Return a width or height as a sender writes it: `640`, `"640"` or `"640px"`."""
    size = _SIZE.match(str(text).strip()) if isinstance(text, int | str) else None
    return int(size[0]) or None if size else None


def _link_tag(tag: re.Match[str], base: str | None, report: Report, place: str) -> str:
    """Resolve `href` and `cite`; what cannot be is left out with a remark."""
    parts = [f"<{tag[1]}"]
    for name, value in _attributes(tag[2]).items():
        address: str | None = value
        is_special = value.partition(":")[0].lower() in ("mailto", "tel")
        if name in ("href", "cite") and not is_special:
            address = absolute_link(value, base)
            if address is None and not value.startswith("#"):
                report.remark(place, f"a link was left out: {value[:200]}")
        if address is not None:
            parts.append(f'{name}="{html.escape(address)}"')
    return " ".join(parts) + ">"


def _image_tag(source: str, base: str | None, report: Report, place: str) -> str:
    attributes = _attributes(source)
    if _ONE_PIXEL in (attributes.get("width"), attributes.get("height")):
        report.remark(place, "a counting pixel was left out")
        return ""
    candidates = [attributes.get(name, "") for name in _LAZY_SOURCES]
    candidates += [attributes.get("srcset", "").strip().partition(" ")[0]]
    sources = [address for address in candidates if address and not address.startswith("data:")]
    url = next((link for address in sources if (link := picture_address(address, base))), None)
    if url is None:
        address = sources[0] if sources else "without an address"
        report.remark(place, f"a picture was left out: {address[:200]}")
        return ""
    tag = f'<img src="{html.escape(url)}" alt="{html.escape(attributes.get("alt", ""))}"'
    sizes = [(name, pixels(attributes.get(name))) for name in ("width", "height")]
    return tag + "".join(f' {name}="{size}"' for name, size in sizes if size) + ">"


def _attributes(source: str) -> dict[str, str]:
    return {name: decode_references(value) for name, value in _ATTRIBUTE.findall(source)}


def _without_empty_tags(body: str) -> str:
    for _ in range(4):
        shorter = _EMPTY.sub("", body)
        if shorter == body:
            break
        body = shorter
    return body


def _paragraphs(text: str) -> str:
    parts = (part.strip().replace("\n", "<br>\n") for part in _BLANK_LINE.split(text))
    return "\n".join(f"<p>{part}</p>" for part in parts if part)
