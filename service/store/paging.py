"""Long lists, a page at a time: keyset cursors, so that a page costs the same at any depth."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from service.domain.errors import Invalid

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, and the opaque cursor of those that follow; None at the end."""

    items: list[T]
    next: str | None


def cut(rows: Sequence[T], limit: int, cursor_of: Callable[[T], str]) -> Page[T]:
    """Make a page of `limit` items out of one more than that, which says whether any follow."""
    items = list(rows[:limit])
    more = len(rows) > limit
    return Page(items, cursor_of(items[-1]) if more else None)


def after_moment(moment: datetime, row_id: int) -> str:
    """Return the cursor that continues a list, newest first, after this row."""
    return _wrap(f"{(moment - _EPOCH) // _MICROSECOND}.{row_id}")


def read_moment(cursor: str | None) -> tuple[datetime, int] | None:
    """Return what `after_moment` wrapped, or raise `Invalid` naming `cursor`."""
    if cursor is None:
        return None
    microseconds, _, row_id = _unwrap(cursor).partition(".")
    try:
        return _EPOCH + int(microseconds) * _MICROSECOND, _row_id(row_id)
    except (ValueError, OverflowError):
        raise _not_ours() from None


def after_text(text: str) -> str:
    """Return the cursor that continues an alphabetical list after `text`."""
    return _wrap("=" + text)


def read_text(cursor: str | None) -> str | None:
    """Return what `after_text` wrapped, or raise `Invalid` naming `cursor`."""
    if cursor is None:
        return None
    text = _unwrap(cursor)
    if not text.startswith("=") or "\0" in text:
        raise _not_ours()
    return text[1:]


def _row_id(text: str) -> int:
    row_id = int(text)
    if not 0 <= row_id < 2**63:
        raise _not_ours()
    return row_id


def _wrap(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unwrap(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _not_ours() from None


def _not_ours() -> Invalid:
    return Invalid("cursor", "This is not a cursor of this list: take `next` from an answer.")
