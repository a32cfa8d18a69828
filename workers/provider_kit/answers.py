"""What an answer means at every provider; a provider's own file says what differs there.

Everything here is total: any answer leads to a verdict, none to an exception.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from service.domain.verdict import (
    AlertRejected,
    DeviceRefused,
    NotAccepted,
    SenderRejected,
    TryLater,
)
from workers.provider import Answer, Failure, one_line

LONGEST_RETRY_AFTER = timedelta(days=1)
LONGEST_DETAIL = 120
CANNOT_BE_SENT = "not a request that can be sent"
"""How the detail of a request begins that is malformed itself; else its address was refused."""

_TRY_LATER = frozenset(range(500, 600)) | {408, 425, 429}
_WRONG_ADDRESS = frozenset(range(300, 400)) | {404, 405, 407}
_NOT_AUTHORIZED = frozenset({401, 403})


def read_status(answer: Answer, provider: str, *, settings: str) -> NotAccepted:
    """Return what a status other than 2xx means at a provider whose address we configured.

    `provider` is the name that people know it by, `settings` are those that its requests are made
    of. A status alone never means DeviceGone.
    """
    status = answer.status
    if status == 0:
        return _read_own_fault(answer, provider, settings) or read_failure(answer)
    if status in _TRY_LATER:
        return TryLater(f"{provider} answered {status}", after=parse_retry_after(answer))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return AlertRejected(f"{provider} says that the alert is too large (answer 413).")
    if status in _WRONG_ADDRESS:
        return SenderRejected(
            f"{provider} is not at the address that is configured (answer {status}): check the "
            "provider's _URL setting and any proxy in between."
        )
    if status in _NOT_AUTHORIZED:
        return SenderRejected(
            f"{provider} does not let us in (answer {status}): check the provider's credentials."
        )
    return DeviceRefused(f"{provider} answered {status}, for a reason that is not documented")


def _read_own_fault(answer: Answer, provider: str, settings: str) -> NotAccepted | None:
    """Return what a forbidden request means where no address is guarded: it is at fault itself."""
    if answer.failure is not Failure.FORBIDDEN:
        return None
    detail = one_line(answer.detail)[:LONGEST_DETAIL]
    return SenderRejected(f"Nothing can be sent to {provider} ({detail}): check {settings}.")


def look_up(
    reasons: Mapping[tuple[int, str], NotAccepted], status: int, word: str
) -> NotAccepted | None:
    """Return what the word means under this status, or else under the status we know it with.

    A provider may give a word under a status that its pages do not name. Only a server's error
    (5xx) is stronger than a word: it may stand in a page of something in between.
    """
    verdict = reasons.get((status, word))
    if verdict is None and word and 400 <= status < 500:  # noqa: PLR2004 - what 4xx means
        return next((verdict for (_, each), verdict in reasons.items() if each == word), None)
    return verdict


def is_success(status: int) -> bool:
    """Whether the status is one of the 2xx."""
    return 200 <= status < 300  # noqa: PLR2004 - that is what 2xx means


def read_failure(answer: Answer) -> NotAccepted:
    """Return what it means that no answer came."""
    detail = one_line(answer.detail)[:LONGEST_DETAIL]
    if answer.failure is Failure.FORBIDDEN:
        if detail.startswith(CANNOT_BE_SENT):
            return DeviceRefused("nothing can be sent to this address")
        return DeviceRefused("the address leads to a network that is not public")
    if answer.failure is Failure.NOT_SENT:
        return TryLater(f"not sent: {detail}")
    return TryLater(f"no answer: {detail}", unknown=True)


def with_code(verdict: NotAccepted, code: str) -> NotAccepted:
    """Return the verdict with the provider's own code in its `why`.

    A sentence that a person reads ends with the code in brackets; other reasons begin with it.
    """
    if isinstance(verdict, SenderRejected | AlertRejected):
        suffix = f" ({code})" if code else ""
        return replace(verdict, why=f"{verdict.why.removesuffix('.')}{suffix}.")
    return replace(verdict, why=f"{code}: {verdict.why}" if code else verdict.why)


def parse_retry_after(answer: Answer, default: timedelta | None = None) -> timedelta | None:
    """Return the wait that Retry-After asks for (RFC 9110, section 10.2.3), at most a day.

    `default` is returned where the header is missing or malformed. A date in it is compared with
    the answer's own Date, so a difference between the clocks does not matter.
    """
    value = answer.headers.get("retry-after", "").strip()
    seconds = parse_seconds(value)
    if seconds is not None:
        return seconds
    end = parse_http_date(value)
    if end is None:
        return default
    start = parse_http_date(answer.headers.get("date", "")) or datetime.now(UTC)
    return min(max(end - start, timedelta(0)), LONGEST_RETRY_AFTER)


def parse_seconds(text: str) -> timedelta | None:
    """Return the whole number of seconds that a header names, at most a day; None if none."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        return None
    return min(timedelta(seconds=int(digits[:9])), LONGEST_RETRY_AFTER)


def parse_http_date(text: str) -> datetime | None:
    """Return the moment that the value of a Date header names; None when it is no date."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_object(body: bytes | str) -> dict[str, Any]:
    """Return the JSON object in `body`; an empty one when `body` holds anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def as_error_code(value: object) -> str:
    """Return `value` if it looks like the name of an error, else "": it is written to the log."""
    if not isinstance(value, str) or len(value) > 64:  # noqa: PLR2004
        return ""
    return value if value.replace("_", "").isalpha() and value.isascii() else ""
