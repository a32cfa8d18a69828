"""The difference between two texts, word by word."""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from service.domain.story import StoryText

Change = Literal["same", "removed", "added"]
Piece = tuple[Change, str]
MAX_EDITS = 1000
MAX_STEPS = 2_000_000
"""Texts with more differences are compared by paragraph, and then as wholes. A comparison costs
the square of the differences, here at most half a second."""

_MARKS = {"p": "", "h2": "## ", "h3": "### ", "h4": "#### ", "li": "- ", "blockquote": "> "}
_BLOCK_ENDS = re.compile(r"</?(?:p|h[2-6]|li|ul|ol|blockquote|div|section|br)(?:\s[^<>]*)?>")
_WORDS = re.compile(r"\s+|[^\s<]+|<[^>]*>?")
_PARAGRAPHS = re.compile(r"\n+|[^\n]+")


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
        ("What the picture shows", before.image_alt or "", after.image_alt or ""),
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
    texts = (line.strip() for line in _BLOCK_ENDS.sub("\n", lines).split("\n"))
    return "\n\n".join(text for text in texts if text)


def diff_words(before: str, after: str) -> list[Piece]:
    """Return the runs of words that stayed, were removed and were added, in order."""
    for pattern in (_WORDS, _PARAGRAPHS):
        changes = _compare(pattern.findall(before), pattern.findall(after))
        if changes is not None:
            return _join(changes)
    return _join([("removed", before), ("added", after)])


def _join(changes: list[Piece]) -> list[Piece]:
    """Join neighbours of one kind; what was removed comes before what replaced it."""
    pieces: list[Piece] = []
    for is_same, run in groupby(changes, lambda change: change[0] == "same"):
        words = list(run)
        kinds: tuple[Change, ...] = ("same",) if is_same else ("removed", "added")
        texts = [(kind, "".join(text for k, text in words if k == kind)) for kind in kinds]
        pieces += [(kind, text) for kind, text in texts if text]
    return pieces


def _compare(a: Sequence[str], b: Sequence[str]) -> list[Piece] | None:
    """Return a shortest list of changes from `a` to `b`; None when finding it costs too much."""
    start = _common_length(a, b)
    end = _common_length(a[start:][::-1], b[start:][::-1])
    middle = _shortest_edit(a[start : len(a) - end], b[start : len(b) - end])
    if middle is None:
        return None
    head: list[Piece] = [("same", word) for word in a[:start]]
    tail: list[Piece] = [("same", word) for word in a[len(a) - end :]]
    return head + middle + tail


def _common_length(a: Sequence[str], b: Sequence[str]) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((n for n, (left, right) in pairs if left != right), min(len(a), len(b)))


def _shortest_edit(a: Sequence[str], b: Sequence[str]) -> list[Piece] | None:
    """Search as Myers does ("An O(ND) Difference Algorithm", 1986), edit by edit.

    `ends[k]` is how far in `a` the best path on the diagonal k has come; `history` keeps it as it
    was before each edit.
    """
    ends = {1: 0}
    history: list[dict[int, int]] = []
    steps = 0
    for edits in range(min(MAX_EDITS, len(a) + len(b)) + 1):
        history.append(ends.copy())
        for k in range(-edits, edits + 1, 2):
            x = _first_step(ends, k, edits)
            y = begin = x - k
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            ends[k] = x
            steps += 1 + y - begin
            if x >= len(a) and y >= len(b):
                return _path(a, b, history)
        if steps > MAX_STEPS:
            return None
    return None


def _first_step(ends: dict[int, int], k: int, edits: int) -> int:
    """Return where in `a` the diagonal k is entered: by an addition, or by a removal."""
    return ends[k + 1] if _adds(ends, k, edits) else ends[k - 1] + 1


def _adds(ends: dict[int, int], k: int, edits: int) -> bool:
    return k == -edits or (k != edits and ends[k - 1] < ends[k + 1])


def _path(a: Sequence[str], b: Sequence[str], history: list[dict[int, int]]) -> list[Piece]:
    """Follow the best paths back from the end and return their changes in order."""
    changes: list[Piece] = []
    x, y = len(a), len(b)
    for edits in range(len(history) - 1, -1, -1):
        k = x - y
        entry = _first_step(history[edits], k, edits) if edits else 0
        while x > entry:
            x, y = x - 1, y - 1
            changes.append(("same", a[x]))
        if edits and _adds(history[edits], k, edits):
            y -= 1
            changes.append(("added", b[y]))
        elif edits:
            x -= 1
            changes.append(("removed", a[x]))
    return changes[::-1]
