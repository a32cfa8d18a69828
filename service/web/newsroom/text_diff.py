"""The difference between two texts, word by word."""

import re
from difflib import SequenceMatcher
from typing import Literal

from service.domain.story import StoryText

Change = Literal["same", "removed", "added"]
Piece = tuple[Change, str]
MAX_WORDS = 4000
"""A longer text is compared by paragraph; comparing it by word would take seconds."""

_MARKS = {"p": "", "h2": "## ", "h3": "### ", "h4": "#### ", "li": "- ", "blockquote": "> "}
_BLOCK_ENDS = re.compile(r"</?(?:p|h[2-6]|li|ul|ol|blockquote|div|section|br)(?:\s[^>]*)?>")
_BLANK_LINES = re.compile(r"\s*\n\s*")
_WORDS = re.compile(r"\s+|[^\s<]+|<[^>]*>?")
_PARAGRAPHS = re.compile(r"(\n+)")


def changed_fields(before: StoryText, after: StoryText) -> list[tuple[str, list[Piece]]]:
    """Return the changed fields with their pieces; the headline and the text in any case."""
    fields = (
        ("Headline", before.headline, after.headline),
        ("Summary", before.summary, after.summary),
        ("Text", plain_lines(before.body), plain_lines(after.body)),
        ("Topics", ", ".join(before.topics), ", ".join(after.topics)),
        ("Language", before.language, after.language),
        ("Author", before.author, after.author),
        ("Picture", before.image_url or "", after.image_url or ""),
        ("Embargo until", str(before.embargo_until or ""), str(after.embargo_until or "")),
        ("No alerts after", str(before.expires_at or ""), str(after.expires_at or "")),
    )
    main_fields = ("Headline", "Text")
    return [(name, diff_words(a, b)) for name, a, b in fields if name in main_fields or a != b]


def plain_lines(html: str) -> str:
    """Return a body as lines of text. Headings, quotes and items get a mark; inline tags stay."""
    lines = html
    for tag, mark in _MARKS.items():
        lines = lines.replace(f"<{tag}>", f"\n{mark}")
    return _BLANK_LINES.sub("\n\n", _BLOCK_ENDS.sub("\n", lines)).strip()


def diff_words(before: str, after: str) -> list[Piece]:
    """Return the runs of words that stayed, were removed and were added, in order."""
    a, b = _split_words(before), _split_words(after)
    if len(a) + len(b) > MAX_WORDS:
        a, b = _PARAGRAPHS.split(before), _PARAGRAPHS.split(after)
    pieces: list[Piece] = []
    for opcode, a0, a1, b0, b1 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if opcode == "equal":
            pieces.append(("same", "".join(a[a0:a1])))
            continue
        if a1 > a0:
            pieces.append(("removed", "".join(a[a0:a1])))
        if b1 > b0:
            pieces.append(("added", "".join(b[b0:b1])))
    return pieces


def _split_words(text: str) -> list[str]:
    return _WORDS.findall(text)
