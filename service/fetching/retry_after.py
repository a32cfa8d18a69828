"""`Retry-After` (RFC 9110, 10.2.3): seconds, or a date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 24 * 60 * 60
_MOST_DIGITS = 9


def parse_retry_after(header: str) -> int | None:
    """Return the seconds to wait, at most a day; None for what says nothing."""
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return min(int(text), LONGEST_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(int((moment - datetime.now(UTC)).total_seconds()), 0), LONGEST_S)
