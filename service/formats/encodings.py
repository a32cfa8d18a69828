"""Bytes of XML and HTML to characters, by mark, header, declaration, and at last by guess."""

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\x00?\x00", "utf-16-le"),
    (b"\x00<\x00?", "utf-16-be"),
)
_XML_DECLARATION = re.compile(
    rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})"""
)
_HTML_DECLARATION = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9._:-]{1,40})""", re.IGNORECASE
)
_HEAD = 2048
_SINGLE_BYTE = (
    {f"iso8859-{n}" for n in (*range(1, 12), *range(13, 17))}
    | {f"cp125{n}" for n in range(9)}
    | {"koi8-r", "koi8-u", "mac-roman", "cp437", "cp850", "cp866", "cp874", "tis-620"}
)
_MULTI_BYTE = (
    {"utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "big5"}
    | {"big5hkscs", "gb2312", "gbk", "gb18030", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949"}
    | {"iso2022_jp"}
)
_BROADER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}
"""What documents call by the left name is written in the right one (WHATWG Encoding, 4.2)."""


def decode_document(document: bytes, charset: str | None = None) -> str:
    """Return the characters of a document. What no encoding explains becomes U+FFFD.

    A byte order mark wins, then `charset` from the HTTP header, then the document's own word, then
    UTF-8, then Windows-1252. Only encodings of documents are tried, none of Python's others.
    """
    for mark, encoding in _MARKS:
        if document.startswith(mark):
            return document.decode(encoding, "replace").removeprefix("\ufeff")
    head = document[:_HEAD]
    declarations = (_XML_DECLARATION.search(head), _HTML_DECLARATION.search(head))
    names = [charset or "", *(match[1].decode("ascii") for match in declarations if match)]
    encodings = [encoding for encoding in map(_known_encoding, names) if encoding]
    for candidate in [*encodings, "utf-8", "cp1252"]:
        try:
            return document.decode(candidate)
        except UnicodeDecodeError:
            continue
    return document.decode(encodings[0] if encodings else "utf-8", "replace")


def _known_encoding(name: str) -> str | None:
    try:
        encoding = codecs.lookup(name).name if name else ""
    except (LookupError, ValueError):
        return None
    encoding = _BROADER.get(encoding, encoding)
    return encoding if encoding in _SINGLE_BYTE | _MULTI_BYTE else None
