"""What a body's markup may weigh, judged and evened out before a parser builds a tree of it.

A parser of HTML repairs whatever it gets, and the repair can cost the square of the text: it opens
formatting tags again in every block that follows, compares each attribute of a tag with all the
others, and copies a text for every `&` in it. Tokens are read here as the HTML standard reads them
(13.2.5), so that what is counted is what the parser will see. What only hides tags from a count
(comments, scripts, drawings) is dropped, as the cleaner would drop it.
"""

import html
import re
from dataclasses import dataclass, field

from service.domain.errors import Invalid
from service.formats.text import decode_references

MAX_NESTING = 256
"""Real texts nest less. Parsing costs the square of the depth: minutes for a megabyte of <div>."""
MAX_TAGS = 100_000
MAX_ATTRIBUTES = 64
MAX_ESCAPES = 30_000
"""`&` and `<` in the text itself; a parser takes 0.1 s for so many in one run, 20 s for a million.
Letters written as references (`&eacute;`, `&#2344;`) are read first and do not count."""
COPIES_PER_BYTE = 2
FREE_COPIES_BYTES = 64 * 1024
"""How much the repair of unclosed formatting may add to a body: twice its size and this."""

FORMATTING = frozenset({"a", "b", "code", "em", "i", "s", "small", "strong", "u"})
"""Tags that a parser opens again in the blocks that follow (HTML standard 13.2.4.3)."""
_VOID = frozenset({"br", "img", "wbr"})
_WITHOUT_END_TAG = frozenset(
    {"area", "base", "col", "embed", "hr", "input", "link", "meta", "param", "source"}
    | {"track", "caption", "colgroup", "p", "rp", "rt", "tbody"}
    | {"td", "tfoot", "th", "thead", "tr"}
    | _VOID
)
_TABLE_PARTS = frozenset({"caption", "tbody", "td", "tfoot", "th", "thead", "tr"})
_ITEM_ENDS = {"li": ("li",), "dd": ("dd", "dt"), "dt": ("dd", "dt")}
"""What the start of an item closes."""
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = _HEADINGS | {
    *("address", "article", "aside", "blockquote", "center", "dd", "details", "dir", "div", "dl"),
    *("dt", "fieldset", "figcaption", "figure", "footer", "header", "hgroup", "li", "main"),
    *("menu", "nav", "ol", "pre", "section", "summary", "table", "ul"),
}
"""Their end tags close what is open in them; the end tag of another element is ignored when one of
these is nearer."""
_LISTS = ("ol", "ul")
_INLINE = FORMATTING | {"abbr", "bdi", "bdo", "cite", "del", "ins", "kbd", "mark", "q", "span"}
_WITHIN_ITEMS = _INLINE | {"address", "div", "p"}
"""Elements that an item closes with them. A list is none: an item in it is nested."""
_DROPPED = frozenset(
    {"applet", "big", "body", "button", "font", "form", "frame", "frameset", "head", "html"}
    | {"image", "keygen", "marquee", "nobr", "noembed", "noframes", "object", "optgroup", "option"}
    | {"plaintext", "select", "strike", "textarea", "tt", "xmp"}
)
"""Tags with rules of their own in the parser. None of them stays in a body."""
_DROPPED_WITH_TEXT = frozenset(
    {"iframe", "math", "noscript", "script", "style", "svg", "template", "title"}
)
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0]+")
"""Browsers read an address without them."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_ADOPTIONS = 8
"""How often one misplaced end tag may copy what it closes (13.2.6.4.7, the outer loop)."""
_NAME = r"[^\t\n\f\r />][^\t\n\f\r />=]*+"
_VALUE = r"""[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\t\n\f\r >]*+)"""
_ATTRIBUTE = re.compile(rf"({_NAME})(?:{_VALUE})?+")
_TOKEN = re.compile(
    r"<!--(?:>|->|.*?(?:--!?>|\Z))|<(?P<bogus>[!?]|/(?![A-Za-z]))[^>]*+>?"
    r"|<(?P<slash>/?)(?P<name>[A-Za-z][^\t\n\f\r />]*+)"
    rf"(?P<attributes>(?:[\t\n\f\r /]++|{_NAME}(?:{_VALUE})?+)*+)>?",
    re.DOTALL,
)


def even_out(text: str) -> tuple[str, bool]:
    """Return text that a parser can take in linear time, and whether it had any markup.

    Raises `Invalid` when it is nested too deeply, when a tag has too many attributes, or when the
    repair of its formatting would make it many times as large.
    """
    pieces: list[str] = []
    elements = _OpenElements(free_copies=FREE_COPIES_BYTES + COPIES_PER_BYTE * len(text))
    unclosed: set[str] = set()
    position = number = 0
    for token in _TOKEN.finditer(text):
        begin, end = token.span()
        if begin < position:
            continue  # within content that is dropped
        slash, name, attributes = token.group("slash", "name", "attributes")
        if (name or token["bogus"]) and text[end - 1] != ">":
            break  # unfinished, and so is whatever follows: text
        if begin > position:
            pieces.append(_escape(text[position:begin]))
        position = end
        name = (name or "").lower()
        if name in _DROPPED_WITH_TEXT:
            position = end if slash else _skip_content(text, end, name, unclosed)
        elif name and name not in _DROPPED:
            number += 1
            _check_number("tags", number, MAX_TAGS)
            tag = _tag(name, slash, attributes)
            elements.end(name) if slash else elements.start(name, len(tag))
            pieces.append(tag)
    pieces.append(_escape(text[position:]))
    evened = "".join(pieces)
    _check_number("& and <", evened.count("&"), MAX_ESCAPES)
    return evened, position > 0


def _escape(text: str) -> str:
    if "&" not in text and "<" not in text:
        return text
    return html.escape(decode_references(text), quote=False)


def _check_number(things: str, number: int, most: int) -> None:
    if number > most:
        raise Invalid("body", f"More than {most:,} {things}.")


def _skip_content(text: str, begin: int, name: str, unclosed: set[str]) -> int:
    """Return where the text goes on behind an element whose content begins at `begin`."""
    if name in unclosed:
        return begin
    end = re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE).search(text, begin)
    if end is not None and (mark := text.find(">", end.end())) >= 0:
        return mark + 1
    unclosed.add(name)
    return begin if name in ("math", "svg", "template") else len(text)


def _tag(name: str, slash: str, attributes: str) -> str:
    """Return the tag as it goes to the cleaner; every picture has an `alt`."""
    if name == "h1":
        name = "h2"
    if slash:
        return f"</{name}>"
    names = [match[1].lower() for match in _ATTRIBUTE.finditer(attributes)] if attributes else []
    if len(names) > MAX_ATTRIBUTES:
        raise Invalid("body", f"A tag has more than {MAX_ATTRIBUTES} attributes.")
    if name == "img" and "alt" not in names:
        return f'<img alt=""{attributes}>'
    if "cite" in names:
        attributes = _ATTRIBUTE.sub(_drop_citation, attributes)
    return f"<{name}{attributes}>"


def _drop_citation(attribute: re.Match[str]) -> str:
    """Drop a `cite` with a scheme that is not the web's: the cleaner checks links only."""
    name, _, value = attribute[0].partition("=")
    address = _BLANKS.sub("", decode_references(value)).strip("\"'").lower()
    scheme = _SCHEME.match(address)
    is_refused = scheme is not None and scheme[1] not in ("http", "https")
    return "" if is_refused and name.strip().lower() == "cite" else attribute[0]


@dataclass(slots=True)
class _OpenElements:
    """An upper bound of the elements that a parser holds open, and of what it copies.

    A formatting element that is closed from outside is detached: the parser opens it again in
    every block that follows.
    """

    free_copies: int
    names: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    detached: list[tuple[str, int]] = field(default_factory=list)
    weight: int = 0
    copies: int = 0

    def start(self, name: str, size: int) -> None:
        """Open an element whose start tag has `size` characters."""
        if name in _TABLE_PARTS:
            self._close_in_table()
        if name == "a":
            self.end("a")
        if name in _ITEM_ENDS:
            self._close_item(_ITEM_ENDS[name])
        if name not in FORMATTING:
            if name not in _VOID:
                self._copy(self.weight)
            if name in _WITHOUT_END_TAG:
                return
        weight = size + len(name) + len("</>") if name in FORMATTING else 0
        self.names.append(name)
        self.weights.append(weight)
        self.weight += weight
        if len(self.names) + len(self.detached) > MAX_NESTING:
            raise Invalid("body", f"Tags are nested more than {MAX_NESTING} deep.")

    def end(self, name: str) -> None:
        """Close the nearest element of this name that a parser would close."""
        index = self._nearest(name)
        if name not in FORMATTING:
            self._copy(self.weight)
            if index is not None:
                self._detach_from(index)
        elif index is not None:
            if index < len(self.names) - 1:
                self._copy(_ADOPTIONS * sum(self.weights[index:]))
            self.weight -= self.weights.pop(index)
            del self.names[index]
        elif "table" not in self.names:
            self._forget_detached(name)

    def _nearest(self, name: str) -> int | None:
        """Return the place of the element that this end tag closes, None when it closes none."""
        crosses_blocks = name in _BLOCKS or name in FORMATTING
        for index in range(len(self.names) - 1, -1, -1):
            nearest = self.names[index]
            if nearest == name or (name in _HEADINGS and nearest in _HEADINGS):
                return index
            if nearest == "table" or (name == "li" and nearest in _LISTS):
                return None
            if not crosses_blocks and nearest not in _INLINE:
                return None
        return None

    def _close_item(self, names: tuple[str, ...]) -> None:
        for index in range(len(self.names) - 1, -1, -1):
            if self.names[index] in names:
                self._detach_from(index)
                return
            if self.names[index] not in _WITHIN_ITEMS:
                return

    def _close_in_table(self) -> None:
        table = self._nearest("table")
        if table is not None:
            self._detach_from(table + 1)

    def _detach_from(self, index: int) -> None:
        pairs = zip(self.names[index:], self.weights[index:], strict=True)
        self.detached += [(name, weight) for name, weight in pairs if weight]
        del self.names[index:], self.weights[index:]

    def _forget_detached(self, name: str) -> None:
        for index in range(len(self.detached) - 1, -1, -1):
            if self.detached[index][0] == name:
                self.weight -= self.detached.pop(index)[1]
                return

    def _copy(self, weight: int) -> None:
        self.copies += weight
        if self.copies > self.free_copies:
            raise Invalid("body", "Its formatting tags are not closed: its copies would be huge.")
