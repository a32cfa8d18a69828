"""What the push services of browsers answer. Each speaks for itself alone.

So nothing here ends an alert at another push service, or holds all of them. The word in an answer
is read before its status: services give the same word under several statuses.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from service.domain.verdict import (
    Accepted,
    DeviceGone,
    DeviceRefused,
    NotAccepted,
    Reach,
    TryLater,
    Verdict,
)
from workers.provider import Answer
from workers.provider_kit import answers

ERRNO_LIMIT = 1000

_ENDED = DeviceGone("its push service says that the subscription has ended")
_KEY_REFUSED = DeviceGone("its push service refuses our VAPID key for it", doubtful=True)
_BAD_TOKEN = DeviceRefused(
    "Apple refuses our VAPID token: check WEBPUSH_SUBJECT and this machine's clock", doubtful=True
)
_BAD_KEYS = DeviceRefused("its push service finds its keys wrong")
_MALFORMED = DeviceRefused(
    "its push service finds our request malformed, a fault of this program", doubtful=True
)

DETAILS: Mapping[int | str, NotAccepted] = {
    101: _BAD_KEYS,
    110: _BAD_KEYS,
    111: _MALFORMED,
    112: _MALFORMED,
    113: _MALFORMED,
    202: TryLater("", after=timedelta(0)),
    "BadJwtToken": _BAD_TOKEN,
    "VapidPkHashMismatch": _KEY_REFUSED,
    "UnauthorizedRegistration": _KEY_REFUSED,
}
"""Mozilla's error numbers, Apple's reasons and Google's word that say more than the status."""

STATUSES: Mapping[int, NotAccepted] = {
    400: DeviceRefused("its push service finds something wrong with this push", doubtful=True),
    401: _KEY_REFUSED,
    403: _KEY_REFUSED,
    404: _ENDED,
    410: _ENDED,
    413: DeviceRefused("its push service says that the alert is too large", doubtful=True),
    406: TryLater("", reach=Reach.ORIGIN),
    429: TryLater("", reach=Reach.ORIGIN),
}
"""What a status means where no word says more. A 429 pauses only the origin that answered it."""

WINDOWS_STATUSES: Mapping[str, NotAccepted] = {
    "dropped": DeviceRefused("Windows dropped the push"),
    "channelthrottled": TryLater("Windows asks to send this device less"),
}
"""What `X-WNS-Status` says beside a 200 or 201: neither is an acceptance. Beside a 4xx it adds
nothing, for Windows calls every push that it refuses `dropped`.

https://learn.microsoft.com/windows/apps/develop/notifications/push-notifications/wns-overview
"""


def read_push_service_answer(answer: Answer) -> Verdict:
    """Return what a push service's answer for one device means."""
    if answer.status == 0:
        return answers.read_failure(answer)
    if answers.is_success(answer.status):
        word = answer.headers.get("x-wns-status", "").strip().lower()
        verdict = WINDOWS_STATUSES.get(word)
        return _with_wait(verdict, answer, word) if verdict else Accepted()
    detail = _read_detail(answer)
    verdict = DETAILS.get(detail) or STATUSES.get(answer.status) or _read_class(answer.status)
    return _with_wait(verdict, answer, f"answer {answer.status}" + (f", {detail}" * bool(detail)))


def _read_detail(answer: Answer) -> int | str:
    """Return the errno or the reason in the body, or the one word that is all of it; else ""."""
    error = answers.parse_object(answer.body)
    errno = error.get("errno")
    if isinstance(errno, int) and 0 < errno < ERRNO_LIMIT:
        return errno
    text = answer.body.decode("ascii", "replace").strip()
    return answers.as_error_code(error.get("reason")) or answers.as_error_code(text)


def _with_wait(verdict: NotAccepted, answer: Answer, code: str) -> NotAccepted:
    if not isinstance(verdict, TryLater):
        return answers.with_code(verdict, code)
    windows = answers.parse_seconds(answer.headers.get("x-wns-continue-after", ""))
    wait = answers.parse_retry_after(answer, windows or verdict.after)
    return replace(verdict, why=f"its push service asks to wait ({code})", after=wait)


def _read_class(status: int) -> NotAccepted:
    if 500 <= status < 600 or status in {408, 425}:  # noqa: PLR2004 - what 5xx means
        return TryLater("")
    if 300 <= status < 400:  # noqa: PLR2004 - what 3xx means
        return DeviceRefused("its endpoint has moved; redirects are never followed")
    return DeviceRefused("its push service gives a reason that is not documented")
