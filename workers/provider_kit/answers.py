"""What an answer means wherever it comes from; the providers' files say what is their own.

Everything here is total: whatever stands in an answer, there is a verdict and never an exception.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from service.domain.verdict import (
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
)
from workers.provider import Answer, Failure

Setback = TryLater | DeviceGone | DeviceRefused | AlertRejected | SenderRejected
"""Every verdict but a yes: each says why."""

LONGEST_RETRY_AFTER = timedelta(days=1)
LONGEST_DETAIL = 120

_LATER = frozenset(range(500, 600)) | {408, 425, 429}
_ELSEWHERE = frozenset(range(300, 400)) | {404, 405, 407}
_NOT_LET_IN = frozenset({401, 403})


def read_status(answer: Answer, provider: str) -> Setback:
    """Return what a status that is no success means at a provider whose address we configured.

    `provider` is the name people know it by. No device is gone by a status alone.
    """
    status = answer.status
    if status == 0:
        return read_failure(answer)
    if status in _LATER:
        return TryLater(f"{provider} answered {status}", after=retry_after(answer))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return AlertRejected(f"{provider} says that the alert is too large (answer 413).")
    if status in _ELSEWHERE:
        return SenderRejected(
            f"{provider} is not where we look for it (answer {status}): check the provider's "
            "_URL setting and whatever stands between us and it."
        )
    if status in _NOT_LET_IN:
        return SenderRejected(
            f"{provider} does not let us in (answer {status}): check the provider's credentials."
        )
    return DeviceRefused(f"{provider} answered {status} for no reason that we know")


def is_success(status: int) -> bool:
    """Whether the status is one of the 2xx."""
    return 200 <= status < 300  # noqa: PLR2004 - that is what 2xx means


def read_failure(answer: Answer) -> Setback:
    """Return what the lack of an answer means: the same at every provider."""
    detail = answer.detail[:LONGEST_DETAIL]
    if answer.failure is Failure.FORBIDDEN:
        return DeviceRefused("the address leads into a network that is not public")
    if answer.failure is Failure.NOT_SENT:
        return TryLater(f"not sent: {detail}")
    return TryLater(f"no answer: {detail}", unknown=True)


def named(verdict: Setback, code: str) -> Setback:
    """Return the verdict with the provider's own word for it, behind a sentence or before words."""
    if isinstance(verdict, SenderRejected | AlertRejected):
        given = f" ({code})" if code else ""
        return replace(verdict, why=f"{verdict.why.removesuffix('.')}{given}.")
    return replace(verdict, why=f"{code}: {verdict.why}" if code else verdict.why)


def retry_after(answer: Answer, default: timedelta | None = None) -> timedelta | None:
    """Return the wait that the answer asks for, in either form of Retry-After, at most a day.

    A date is measured against the answer's own Date, which no skew between clocks can spoil.
    """
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return min(timedelta(seconds=int(given[:9])), LONGEST_RETRY_AFTER)
    until = http_date(given)
    if until is None:
        return default
    since = http_date(answer.headers.get("date", "")) or datetime.now(UTC)
    return min(max(until - since, timedelta(0)), LONGEST_RETRY_AFTER)


def http_date(text: str) -> datetime | None:
    """Return the moment that a header's date names; None when it names none."""
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def parse_object(body: bytes | str) -> dict[str, Any]:
    """Return the JSON object in `body`; an empty one when there is none, whatever stands there."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def as_word(value: object) -> str:
    """Return `value` when it looks like the name of an error, else "": it may end in a log."""
    if not isinstance(value, str) or len(value) > 64:  # noqa: PLR2004
        return ""
    return value if value.replace("_", "").isalpha() and value.isascii() else ""
