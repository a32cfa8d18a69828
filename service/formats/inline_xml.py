"""NITF and XHTML inside other documents, to HTML."""

import html
from collections.abc import Iterator
from dataclasses import dataclass

from service.domain.errors import TooLarge
from service.formats.incoming import MalformedDocument, Report
from service.formats.markup import body_html
from service.formats.xml_document import (
    XmlElement,
    children,
    first_child,
    local_name,
    parse_feed_xml,
    text_of,
)

_SKIPPED = frozenset({"head", "title", "script", "style", "body.head", "iframe", "noscript"})
_VOID = frozenset({"br", "hr", "img", "wbr"})
_RENAMED = {"hl1": "h2", "hl2": "h3", "bq": "blockquote", "block": "div", "note": "aside"} | {
    "h1": "h2",
    "tagline": "p",
    "credit": "p",
}
_SAME = frozenset(
    {"a", "abbr", "aside", "b", "blockquote", "caption", "cite", "code", "dd", "del", "div", "dl"}
    | {"dt", "em", "figcaption", "figure", "h2", "h3", "h4", "h5", "h6", "i", "ins", "li", "mark"}
    | {"ol", "p", "pre", "q", "s", "section", "small", "span", "strong", "sub", "sup", "table"}
    | {"tbody", "td", "tfoot", "th", "thead", "time", "tr", "u", "ul"}
    | _VOID
)
_ATTRIBUTES = (
    "href",
    "src",
    "alt",
    "width",
    "height",
    "colspan",
    "rowspan",
    "title",
    "dir",
    "lang",
)


@dataclass(frozen=True, slots=True)
class NitfHead:
    """What NITF's `body.head` says, where the document around it does not."""

    headline: str = ""
    byline: str = ""
    abstract: str = ""


def inline_html(element: XmlElement, base: str | None, report: Report, place: str) -> str:
    """Return the content of an element as safe HTML; text without markup becomes paragraphs."""
    return body_html("".join(_content(element)), base, report, place)


def nitf_document_html(text: str, base: str | None, report: Report, place: str) -> str:
    """Return the body of a NITF document that is written in a string; a broken one is a flaw."""
    try:
        root = parse_feed_xml(text.encode("utf-8", "replace"), charset="utf-8")
    except MalformedDocument as error:
        report.flaw(place, f"holds NITF that {error.flaws[0].fault}")
        return ""
    except TooLarge as error:
        report.flaw(place, error.detail)
        return ""
    return inline_html(root, base, report, place)


def nitf_head(element: XmlElement) -> NitfHead:
    """Return headline, byline and abstract of the NITF in an element, empty without one."""
    heads = (node for node in element.iter() if local_name(node) == "body.head")
    head = next(heads, None)
    headings = first_child(head, "hedline")
    return NitfHead(
        headline=text_of(first_child(headings, "hl1")),
        byline=" ".join(text_of(first_child(head, "byline")).split()),
        abstract=text_of(first_child(head, "abstract")),
    )


def _content(element: XmlElement) -> Iterator[str]:
    yield html.escape(element.text or "", quote=False)
    for child in element:
        yield from _markup(child)
        yield html.escape(child.tail or "", quote=False)


def _markup(element: XmlElement) -> Iterator[str]:
    name = local_name(element).lower()
    if not name or name in _SKIPPED:
        return
    if name == "media":
        yield _figure(element)
        return
    tag = _RENAMED.get(name, name)
    if tag not in _SAME:
        yield from _content(element)
        return
    yield f"<{tag}{_written_attributes(element)}>"
    if tag not in _VOID:
        yield from _content(element)
        yield f"</{tag}>"


def _written_attributes(element: XmlElement) -> str:
    pairs = ((name, element.get(name, "")) for name in _ATTRIBUTES)
    return "".join(f' {name}="{html.escape(value)}"' for name, value in pairs if value)


def _figure(media: XmlElement) -> str:
    """NITF `media`: the first reference of an image, its caption and its producer."""
    if media.get("media-type", "image") not in ("image", "photo", "graphic"):
        return ""
    references = [node for node in children(media, "media-reference") if node.get("source", "")]
    if not references:
        return ""
    reference = references[0]
    caption = " ".join(
        filter(None, map(text_of, children(media, "media-caption", "media-producer")))
    )
    alternative = reference.get("alternate-text", "") or text_of(
        first_child(media, "media-caption")
    )
    sizes = "".join(
        f' {name}="{html.escape(value)}"'
        for name in ("width", "height")
        if (value := reference.get(name, ""))
    )
    image = (
        f'<img src="{html.escape(reference.get("source", ""))}" alt="{html.escape(alternative)}"'
    )
    words = f"<figcaption>{html.escape(caption, quote=False)}</figcaption>" if caption else ""
    return f"<figure>{image}{sizes}>{words}</figure>"
