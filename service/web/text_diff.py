"""What changed between two texts, word by word."""

import re
from difflib import SequenceMatcher
from typing import Literal

from service.domain.story import StoryText

Kind = Literal["same", "removed", "added"]
Piece = tuple[Kind, str]
MOST_WORDS = 4000
"""Beyond it a text is compared by the paragraph: by the word would take seconds."""

_MARKS = {"p": "", "h2": "## ", "h3": "### ", "h4": "#### ", "li": "- ", "blockquote": "> "}
_BLOCK_ENDS = re.compile(r"</?(?:p|h[2-6]|li|ul|ol|blockquote|div|section|br)(?:\s[^>]*)?>")
_BLANK_LINES = re.compile(r"\s*\n\s*")
_WORDS = re.compile(r"\s+|[^\s<]+|<[^>]*>?")
_PARAGRAPHS = re.compile(r"(\n+)")


def changes(before: StoryText, after: StoryText) -> list[tuple[str, list[Piece]]]:
    """Return each field that readers or alerts see, with its pieces; unchanged small ones not."""
    fields = (
        ("Headline", before.headline, after.headline),
        ("Summary", before.summary, after.summary),
        ("Text", readable(before.body), readable(after.body)),
        ("Topics", ", ".join(before.topics), ", ".join(after.topics)),
        ("Language", before.language, after.language),
        ("Author", before.author, after.author),
        ("Picture", before.image_url or "", after.image_url or ""),
        ("Embargo until", str(before.embargo_until or ""), str(after.embargo_until or "")),
        ("No alerts after", str(before.expires_at or ""), str(after.expires_at or "")),
    )
    always = ("Headline", "Text")
    return [(name, pieces(a, b)) for name, a, b in fields if name in always or a != b]


def readable(html: str) -> str:
    """Return a body as lines of text; headings, quotes and items keep a mark, inline tags stay."""
    lines = html
    for tag, mark in _MARKS.items():
        lines = lines.replace(f"<{tag}>", f"\n{mark}")
    return _BLANK_LINES.sub("\n\n", _BLOCK_ENDS.sub("\n", lines)).strip()


def pieces(before: str, after: str) -> list[Piece]:
    """Return the runs of words that stayed, went and came, in order."""
    a, b = _split(before), _split(after)
    if len(a) + len(b) > MOST_WORDS:
        a, b = _PARAGRAPHS.split(before), _PARAGRAPHS.split(after)
    found: list[Piece] = []
    for change, a0, a1, b0, b1 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if change == "equal":
            found.append(("same", "".join(a[a0:a1])))
            continue
        if a1 > a0:
            found.append(("removed", "".join(a[a0:a1])))
        if b1 > b0:
            found.append(("added", "".join(b[b0:b1])))
    return found


def _split(text: str) -> list[str]:
    return _WORDS.findall(text)
