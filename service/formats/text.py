"""What is text is text: the form in which every text is stored, shown on a line and searched."""

import html
import re
import unicodedata

import regex

MAX_LINE_SOURCE = 100_000
"""Characters of a headline or summary that are read at all; what follows is cut off."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | end) for plane in range(1, 17) for end in (0xFFFE, 0xFFFF))
    + "]"
)
_CONTROL = re.compile("[\x7f-\x84\x86-\x9f]")
_PLANES = "".join(f"{chr(n << 16)}-{chr(n << 16 | 0xFFFD)}" for n in range(1, 17))
_UNCLEAN = re.compile(f"[^\t\n\r -~\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd{_PLANES}]")
"""Any character that `clean_text` changes on its own, in one class: most texts have none."""

_WINDOWS_1252 = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
_TAG_NAMES = (
    "a|abbr|address|article|aside|b|bdi|bdo|big|blockquote|body|br|button|caption|center|cite|code|"
    "dd|del|details|dfn|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|"
    "i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta|nav|nobr|noscript|ol|p|picture|pre|q|"
    "s|samp|script|section|small|source|span|strike|strong|style|sub|summary|sup|svg|table|tbody|"
    "td|template|tfoot|th|thead|time|title|tr|tt|u|ul|var|video|wbr"
)
_TAG = re.compile(rf"<(/?)({_TAG_NAMES})(?=[\s/>])[^<>]*>", re.IGNORECASE)
_UNSHOWN = re.compile(
    r"<(!--|(?:script|style|template|noscript|svg|iframe)(?=[\s>]))", re.IGNORECASE
)
_CLOSINGS = {
    "!--": re.compile("-->"),
    **{
        name: re.compile(rf"</{name}[^<>]*>", re.IGNORECASE)
        for name in ("script", "style", "template", "noscript", "svg", "iframe")
    },
}
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_SPACES = re.compile(r"\s+")
_NO_BREAK = ("\xa0", "\u202f", "\u2007")
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins"}
    | {"kbd", "mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup"}
    | {"time", "tt", "u", "var", "wbr"}
)
_NESTED_AMPERSAND = re.compile(
    r"&(?:amp;|#0{0,5}38;|#x0{0,5}26;)+(?=#?[0-9a-z]{1,31};)", re.IGNORECASE
)
_MOST_ESCAPINGS = 50
_LONG_REFERENCE = re.compile(r"&#[0-9]{1000,};?")
"""The number of no character; Python refuses to read more than 4,300 digits."""
MOST_MARKS = 30
"""Combining marks in a row, as the Stream-Safe Text Format has it (UAX 15, section 13)."""
_MARKS = regex.compile(r"\p{M}+")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\u0964\u061f]['\"\u201d\u2019\u00bb)]?\s")


def clean_text(text: str) -> str:
    """Return any text as it is stored: NFC, and nothing in it that XML's `Char` forbids.

    Windows-1252 punctuation that came in as C1 controls becomes what it was meant to be; other
    controls but tab and line ends go, and so do lone surrogates and noncharacters. Cleaning twice
    changes nothing.
    """
    if _UNCLEAN.search(text) is None:
        return text if text.isascii() else _composed(text)
    text = _CONTROL.sub(lambda control: _WINDOWS_1252.get(ord(control[0]), ""), text)
    return _composed(_NONCHARACTER.sub("", _NOT_XML.sub("", text.replace("\x85", "\n"))))


def _composed(text: str) -> str:
    """Return the text in NFC. Of combining marks in a row that are not in order the first stay.

    To put them into order costs the square of their number, and all other threads wait for it.
    """
    if unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", _MARKS.sub(lambda marks: marks[0][:MOST_MARKS], text))


def decode_references(text: str) -> str:
    """Return text with HTML's character references decoded, however long their numbers are."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text))


def plain_line(text: str) -> str:
    """Return a headline, a summary or a name as plain text on one line.

    Tags go and entities are decoded, even those that were escaped twice; `5 < 6` stays. Applied
    twice it changes nothing, so a text that is really about `&lt;b&gt;` loses its tag.
    """
    line = clean_text(text[:MAX_LINE_SOURCE])
    for _ in range(_MOST_ESCAPINGS):
        before = line
        line = clean_text(_decode_once(line)) if "<" in line or "&" in line else line
        if line == before:
            break
    return _SPACES.sub(_one_space, line).strip()


def _one_space(spaces: re.Match[str]) -> str:
    """Return one space for several; a single one that allows no line break stays as it is."""
    return spaces[0] if spaces[0] in _NO_BREAK else " "


def _decode_once(line: str) -> str:
    shown = _TAG.sub(_space_of_tag, _CDATA.sub("", _without_unshown(line)))
    return decode_references(_NESTED_AMPERSAND.sub("&", shown))


def _without_unshown(line: str) -> str:
    """Drop comments and the contents of scripts and styles, in linear time."""
    parts, end, openings = [], 0, set()
    for opening in _UNSHOWN.finditer(line):
        name = opening[1].lower()
        if opening.start() < end or name in openings:
            continue
        closing = _CLOSINGS[name].search(line, opening.end())
        if closing is None:
            openings.add(name)
            continue
        parts.append(line[end : opening.start()])
        end = closing.end()
    return " ".join([*parts, line[end:]]) if end else line


def _space_of_tag(tag: re.Match[str]) -> str:
    return "" if tag[2].lower() in _INLINE else " "


def search_key(text: str) -> str:
    """Return what two texts share that a person would call the same, however they were typed.

    Unicode's NFKC_Casefold: compatibility forms unified, case folded, ignorables dropped. Spaces
    are single.
    """
    key = unicodedata.normalize("NFKC", text).casefold()
    key = unicodedata.normalize("NFKC", _IGNORABLE.sub("", key))
    return " ".join(unicodedata.normalize("NFKC", key.casefold()).split())


def shorten(line: str, longest: int) -> str:
    """Return the first whole sentences, or else words, that fit into `longest` characters."""
    if len(line) <= longest:
        return line
    window = line[: longest + 1]
    ends = [end.end() for end in _SENTENCE_END.finditer(window)]
    if ends and ends[-1] * 2 > longest:
        return window[: ends[-1]].rstrip()
    words = window[:longest].rpartition(" ")[0] or window[: longest - 1]
    return words.rstrip(" ,;:-\u2013\u2014") + "\u2026"


def says_something(text: str) -> bool:
    """Whether a person would see anything: not only spaces and invisible characters."""
    return any(unicodedata.category(character)[0] not in "ZC" for character in text)
