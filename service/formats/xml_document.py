"""XML from strangers: no DTD, no entities, no network; bounded in size, elements and depth."""

import html.entities
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache, partial
from typing import Protocol, cast

from lxml import etree

from service.domain.errors import TooLarge
from service.formats.encodings import decode_document
from service.formats.incoming import Flaw, MalformedDocument, Report
from service.formats.links import absolute_link
from service.formats.moments import exact_moment
from service.formats.text import clean_text

MAX_XML_BYTES = 4 * 1024 * 1024
MAX_FEED_BYTES = 8 * 1024 * 1024
MAX_ELEMENTS = 200_000
MAX_ATTRIBUTES = 400_000
MAX_REFERENCES = 800_000
LONGEST_KNOWN_TAG = 200
"""Characters of a name with its namespace that is remembered; a name may have 50,000."""
XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"
_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,200}\?>")
_PROLOG = re.compile(r"(?:\s+|<!--.*?-->|<\?.*?\?>)*+", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[\]<>]{0,300}>", re.IGNORECASE)
_CDATA, _CDATA_END = "<![CDATA[", "]]>"
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_STRAY_AMPERSAND = re.compile(r"&(?!(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})


class XmlElement(Protocol):
    """What this package uses of an lxml element."""

    tag: str
    text: str | None
    tail: str | None

    def get(self, key: str, default: str = ...) -> str:
        """Return an attribute."""

    def __iter__(self) -> Iterator["XmlElement"]: ...

    def iterchildren(self, *tags: str) -> Iterator["XmlElement"]:
        """Yield the children of some tags; `{*}name` is a name in any namespace."""

    def iter(self) -> Iterator["XmlElement"]:
        """Yield the element and all below it."""

    def itertext(self) -> Iterator[str]:
        """Yield all texts in the element."""

    def iterancestors(self) -> Iterator["XmlElement"]:
        """Yield the elements above, the nearest first."""

    def getparent(self) -> "XmlElement | None":
        """Return the element above."""


def parse_xml(
    document: bytes, *, charset: str | None = None, max_bytes: int = MAX_XML_BYTES
) -> XmlElement:
    """Return the root element of a well-formed document.

    Raises `TooLarge` before parsing, and `MalformedDocument` with line and column, also for any
    document type declaration: without one there are no entities to expand and nothing to fetch.
    """
    text = _checked_text(document, charset, max_bytes)
    if _DOCTYPE.match(text, _end_of_prolog(text)) or _has_doctype(text):
        raise MalformedDocument([Flaw("/", "has a document type declaration: none is taken")])
    try:
        return _parse(text, recover=False)
    except etree.XMLSyntaxError as error:
        raise _not_well_formed(error) from None


def parse_feed_xml(document: bytes, *, charset: str | None = None) -> XmlElement:
    """Return the root element of a feed, repaired where feeds are usually broken.

    A document type without definitions of its own is dropped, HTML's named entities are decoded,
    stray ampersands and forbidden characters repaired, tags closed. Definitions are refused.
    """
    text = _checked_text(document, charset, MAX_FEED_BYTES)
    prolog = _end_of_prolog(text)
    doctype = _DOCTYPE.match(text, prolog)
    if doctype is not None:
        text = text[prolog : doctype.start()] + text[doctype.end() :]
    if _has_doctype(text):
        raise MalformedDocument([Flaw("/", "defines entities of its own: none are taken")])
    try:
        return _parse(text, recover=False)
    except etree.XMLSyntaxError as error:
        try:
            return _parse(_repaired(text), recover=True)
        except (etree.XMLSyntaxError, MalformedDocument):
            raise _not_well_formed(error) from None


def _checked_text(document: bytes, charset: str | None, max_bytes: int) -> str:
    if len(document) > max_bytes:
        raise TooLarge(f"At most {max_bytes:,} bytes; these are {len(document):,}.")
    if document.count(b"<") > 2 * MAX_ELEMENTS:
        raise TooLarge(f"At most {MAX_ELEMENTS:,} elements.")
    if document.count(b"=") > MAX_ATTRIBUTES:
        raise TooLarge(f"At most {MAX_ATTRIBUTES:,} attributes.")
    if document.count(b"&") > MAX_REFERENCES:
        raise TooLarge(f"At most {MAX_REFERENCES:,} references.")
    text = decode_document(document, charset)
    return text[match.end() :] if (match := _DECLARATION.match(text)) else text.lstrip()


def _end_of_prolog(text: str) -> int:
    match = _PROLOG.match(text)
    return match.end() if match else 0


def _has_doctype(text: str) -> bool:
    return text[(end := _end_of_prolog(text)) : end + 9].upper() == "<!DOCTYPE"


def _parse(text: str, *, recover: bool) -> XmlElement:
    make_parser = partial(
        etree.XMLParser,
        encoding="utf-8",
        recover=recover,
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    root = parse_tree(text, make_parser)
    if root is None:
        raise MalformedDocument([Flaw("/", "holds no element")])
    return root


def parse_tree(
    text: str, make_parser: Callable[[], etree.XMLParser | etree.HTMLParser]
) -> XmlElement | None:
    """Return the root element, None without one; raises `etree.XMLSyntaxError`.

    The parser keeps every name that it has seen in a thread until the thread ends, and a document
    may have 200,000 of its own. So each has a thread of its own.
    """
    document = text.encode("utf-8", "replace")
    with ThreadPoolExecutor(1) as thread:
        root = thread.submit(lambda: etree.fromstring(document, make_parser())).result()
    return cast("XmlElement | None", root)


def _not_well_formed(error: etree.XMLSyntaxError) -> MalformedDocument:
    line, column = error.position
    reason = str(error.msg).partition(", line ")[0][:200]
    return MalformedDocument([Flaw("/", f"is not XML (line {line}, column {column}: {reason})")])


def _repaired(text: str) -> str:
    """Decode HTML's named entities and escape stray ampersands outside of CDATA."""
    head, *sections = clean_text(text).split(_CDATA)
    parts = [_decoded(head)]
    for section in sections:
        literal, end, markup = section.partition(_CDATA_END)
        parts.append(_CDATA + literal + end + _decoded(markup) if end else _decoded(literal))
    return "".join(parts)


def _decoded(part: str) -> str:
    return _STRAY_AMPERSAND.sub("&amp;", _NAMED.sub(lambda name: _character(name[1]), part))


def _character(name: str) -> str:
    character = html.entities.html5.get(f"{name};")
    if name in _XML_ENTITIES:
        return f"&{name};"
    if character is None:
        return f"&amp;{name};"
    return html.escape(character)


def _name_parts(tag: str) -> tuple[str, str]:
    return _known_parts(tag) if len(tag) <= LONGEST_KNOWN_TAG else _split_name(tag)


def _split_name(tag: str) -> tuple[str, str]:
    namespace, brace, name = tag.rpartition("}")
    return (namespace[1:], name) if brace else ("", tag)


_known_parts = lru_cache(maxsize=1024)(_split_name)


def local_name(element: XmlElement) -> str:
    """Return an element's name without its namespace; empty for what is no element."""
    return _name_parts(element.tag)[1] if isinstance(element.tag, str) else ""


def namespace_of(element: XmlElement) -> str:
    """Return an element's namespace, empty for none."""
    return _name_parts(element.tag)[0] if isinstance(element.tag, str) else ""


def children(element: XmlElement, *names: str) -> Iterator[XmlElement]:
    """Yield the children with one of the local names, in any namespace; all without a name."""
    return element.iterchildren(*(f"{{*}}{name}" for name in names or "*"))


def first_child(element: XmlElement | None, *names: str) -> XmlElement | None:
    """Return the first child with one of the local names."""
    return next(children(element, *names), None) if element is not None else None


def text_of(element: XmlElement | None) -> str:
    """Return all the text in an element, cleaned and stripped."""
    return "" if element is None else clean_text("".join(element.itertext())).strip()


def path_of_element(element: XmlElement, attribute: str = "") -> str:
    """Return an element's XML path, positions counted among siblings of the same name."""
    steps = [_step(element), *(_step(above) for above in element.iterancestors())]
    return "/" + "/".join(reversed(steps)) + (f"/@{attribute}" if attribute else "")


def _step(element: XmlElement) -> str:
    name = local_name(element)
    parent = element.getparent()
    twins = list(children(parent, name)) if parent is not None else []
    position = next((n for n, twin in enumerate(twins, 1) if twin is element), 1)
    return f"{name}[{position}]" if len(twins) > 1 else name


def exact_moment_of(element: XmlElement | None, report: Report) -> datetime | None:
    """Return an element's date and time with an offset; anything else in it is a flaw."""
    text = text_of(element)
    moment = exact_moment(text)
    if element is not None and text and moment is None and not report.has_all_flaws:
        fault = f"{text[:60]!r} is not a date and time with an offset (RFC 3339)"
        report.flaw(path_of_element(element), fault)
    return moment


def language_of(element: XmlElement) -> str:
    """Return the language in force at an element: its `xml:lang` or the nearest above."""
    nodes = [element, *element.iterancestors()]
    return next((tag for node in nodes if (tag := node.get(f"{{{XML_NAMESPACE}}}lang", ""))), "")


def base_of(element: XmlElement, document_base: str | None) -> str | None:
    """Return the base of relative addresses at an element: XML Base over the document's own."""
    base = document_base
    for node in reversed([element, *element.iterancestors()]):
        step = node.get(f"{{{XML_NAMESPACE}}}base", "")
        base = (absolute_link(step, base) or base) if step else base
    return base
