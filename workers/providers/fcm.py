"""Firebase Cloud Messaging, HTTP v1: one device a request, OAuth by a service account.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Scope,
    SenderRejected,
    TryLater,
    Verdict,
)
from workers.provider import (
    DELIVERY_ID_ROOM,
    RECEIPT_ROOM,
    AlertContent,
    Answer,
    Credential,
    Position,
    Preview,
    Request,
    Target,
)
from workers.provider_kit.alert_text import ByLocale, choose, fit, words_in
from workers.provider_kit.answers import Setback, is_success, named, read_status, retry_after
from workers.provider_kit.encoding import (
    Origin,
    collapse_form,
    image_of,
    json_bytes,
    json_inside,
    seconds_left,
)
from workers.provider_kit.google import GoogleError, ServiceAccount
from workers.provider_kit.oauth import access_token
from workers.provider_kit.signing import KeyFile, key_path

LIMIT = 4096
ADDRESS_ROOM = 300
LONGEST_COLLAPSE_KEY = 64
LONGEST_TTL_SECONDS = 28 * 86_400
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
FIRST_WAIT = timedelta(seconds=10)
"""Google asks for at least this before a first new attempt, and for ever longer ones after it."""
QUOTA_WAIT = timedelta(minutes=1)
IMPOSSIBLE_ADDRESS = "newszop:an-address-that-cannot-exist"
_TOKEN = re.compile(r"[A-Za-z0-9_-]+:[A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]{64,}")
_FID = re.compile(r"[A-Za-z0-9_-]{20,24}")
_LONGEST_TOKEN = 1024


class Settings(BaseSettings):
    """What reaching Google takes."""

    model_config = SettingsConfigDict(
        env_prefix="FCM_", env_file=".env", extra="ignore", frozen=True
    )

    url: Origin = Field("https://fcm.googleapis.com", description="Google's server.")
    credentials_file: Annotated[Path, key_path(ServiceAccount.parse)] = Field(
        description="The service account's JSON, from the Firebase console; its token_uri is used."
    )
    per_minute: int = Field(
        600_000, ge=1, description="Pushes a minute that the project may send, over all workers."
    )
    ramp_seconds: int = Field(
        60, ge=0, description="Seconds in which the rate grows from nothing to its most."
    )


_LATER = TryLater("", first=FIRST_WAIT)
_QUOTA = TryLater("", after=QUOTA_WAIT, scope=Scope.PROVIDER, blameless=True)
_NOT_A_TOKEN = DeviceGone("not a valid address", doubtful=True)
_TOKEN_REFUSED = SenderRejected(
    "Google does not accept our access token: check that the service account in "
    "FCM_CREDENTIALS_FILE still exists and is enabled",
    remint=True,
)

REASONS: Mapping[tuple[int, str], Setback] = {
    (404, "UNREGISTERED"): DeviceGone("the app is gone from the device"),
    (404, "NOT_FOUND"): DeviceGone("no such address", doubtful=True),
    (400, "INVALID_ARGUMENT"): DeviceRefused(
        "Google finds something wrong with this push", doubtful=True
    ),
    (400, "UNSPECIFIED_ERROR"): DeviceRefused("Google gives no reason"),
    (500, "UNSPECIFIED_ERROR"): DeviceRefused("Google gives no reason"),
    (401, "THIRD_PARTY_AUTH_ERROR"): DeviceRefused(
        "Firebase cannot reach Apple or the browser for us: upload the APNs key or the web push "
        "key in the Firebase console"
    ),
    (401, "UNAUTHENTICATED"): _TOKEN_REFUSED,
    (401, ""): _TOKEN_REFUSED,
    (403, "SENDER_ID_MISMATCH"): DeviceGone("an address of another project", doubtful=True),
    (403, "PERMISSION_DENIED"): SenderRejected(
        "Google does not permit us to push: give the service account the role Firebase Cloud "
        "Messaging API Admin and enable the Firebase Cloud Messaging API in the project"
    ),
    (429, "QUOTA_EXCEEDED"): _QUOTA,
    (429, "RESOURCE_EXHAUSTED"): _QUOTA,
    (429, ""): _QUOTA,
    (500, "INTERNAL"): _LATER,
    (503, "UNAVAILABLE"): _LATER,
}
"""What each documented error means; an INVALID_ARGUMENT is looked at more closely."""


class Provider:
    """Builds requests for Google and reads its answers."""

    name = "fcm"
    window = 900
    guard = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.per_minute: int | None = settings.per_minute
        self.ramp_seconds = settings.ramp_seconds
        self._file = KeyFile(
            settings.credentials_file, "FCM_CREDENTIALS_FILE", ServiceAccount.parse
        )

    def check(self, registration: Registration) -> Registration:
        """Tell a Firebase Installation ID from a registration token: they are sent differently."""
        address = registration.address.strip()
        if _FID.fullmatch(address):
            kind = "fid"
        elif _TOKEN.fullmatch(address) and len(address) <= _LONGEST_TOKEN:
            kind = "token"
        else:
            raise Invalid(
                "address",
                "An FCM address is a Firebase Installation ID (about 22 characters) or a "
                "registration token (longer, with a colon).",
            )
        return replace(registration, address=address, kind=kind, p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Exchange a claim signed by the service account for an access token."""
        account = self._file.load()
        return (
            yield from access_token(
                account.token_uri,
                account.grant(SCOPE, now),
                now,
                server="Google's token server",
                advice="check that the service account in FCM_CREDENTIALS_FILE and its key still "
                "exist, and this machine's clock",
            )
        )

    def credential_key(self) -> str:
        """Return a name that changes with the service account."""
        return f"fcm:{self._file.fingerprint()}"

    def pushes(self, content: AlertContent, credential: Credential) -> "Pushes":
        """Prepare the alert: all that devices share is encoded once."""
        return Pushes(self._send_url(), content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for one device. A yes is not parsed: its `name` is of no use to us."""
        if is_success(answer.status):
            return _ACCEPTED if len(positions) == 1 else _ACCEPTED * len(positions)
        return [_read(answer)] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Have a message checked for an address that cannot exist."""
        del now
        body = {"validate_only": True, "message": {"token": IMPOSSIBLE_ADDRESS}}
        return Request(self._send_url(), _headers(credential), json_bytes(body))

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the payload's size."""
        words, _ = words_in(choose(locale, content), content)
        fitted, shortened = _fit(words, content)
        used = len(_head(fitted, content)) + _frame(content)
        return Preview(fitted.title, fitted.body, used, LIMIT, shortened)

    def _send_url(self) -> str:
        return f"{self.settings.url}/v1/projects/{self._file.latest().project_id}/messages:send"


_ACCEPTED: tuple[Verdict, ...] = (Accepted(),)


def _headers(credential: Credential) -> Sequence[str]:
    return (f"authorization: Bearer {credential.value}", "content-type: application/json")


def _read(answer: Answer) -> Verdict:
    if answer.status == 0:
        return read_status(answer, "Google")
    error = GoogleError.parse(answer.body)
    verdict = REASONS.get((answer.status, error.code))
    if error.code == "INVALID_ARGUMENT" and verdict:
        verdict = _read_invalid(error)
    if verdict is None or (error.code == "NOT_FOUND" and "Requested entity" not in error.text):
        verdict = read_status(answer, "Google")
    if not isinstance(verdict, TryLater):
        return named(verdict, error.code)
    return replace(
        verdict,
        why=f"Google answered {answer.status} {error.code}",
        after=retry_after(answer, verdict.after),
        first=FIRST_WAIT,
        scope=Scope.DEVICE if error.narrow else verdict.scope,
    )


def _read_invalid(error: GoogleError) -> Setback:
    """Tell a bad address, in its new and its old form, from a message that is at fault."""
    if "registration token is not a valid" in error.text:
        return _NOT_A_TOKEN
    if any(field in {"message.token", "message.fid"} for field in error.fields):
        return _NOT_A_TOKEN
    if not error.own and (error.fields or "Invalid JSON" in error.text):
        return AlertRejected("Google cannot read our message, a fault of this program")
    return REASONS[400, "INVALID_ARGUMENT"]


class Pushes:
    """One alert in Google's form: a head by language, the ids in the middle, a tail for all."""

    def __init__(self, url: str, content: AlertContent, credential: Credential) -> None:
        self._url = url
        self._content = content
        self._headers = _headers(credential)
        self._heads = ByLocale(content, lambda words, _: _head(_fit(words, content)[0], content))

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for each target; the TTL is what is left at `now`."""
        url, headers, heads = self._url, self._headers, self._heads
        left = seconds_left(self._content, now)
        tail = _tail(self._content, min(left, LONGEST_TTL_SECONDS))
        for target in targets:
            kind = "fid" if target.kind == "fid" else "token"
            own = (
                f'{target.delivery_id}","receipt":"{target.receipt}"}},'
                f'"{kind}":"{json_inside(target.address)}",'
            )
            yield Request(
                url, headers, heads[target.locale] + own.encode() + tail, (target.position,)
            )


def _fit(words: Words, content: AlertContent) -> tuple[Words, bool]:
    return fit(words, LIMIT - _frame(content) - len(_head(Words("", ""), content)))


def _frame(content: AlertContent) -> int:
    """Return the most bytes that follow the head."""
    own = len('","receipt":""},"token":"",') + DELIVERY_ID_ROOM + RECEIPT_ROOM + ADDRESS_ROOM
    return own + len(_tail(content, LONGEST_TTL_SECONDS))


def _head(words: Words, content: AlertContent) -> bytes:
    """Return the message up to the delivery's id; what Google reserves is not among our keys."""
    image = image_of(content)
    shown = {"title": words.title, "body": words.body} | ({"image": image} if image else {})
    data = {
        "alert_id": content.alert_id,
        "story_id": content.story_id,
        "url": content.url,
        "delivery_id": "",
    }
    return json_bytes({"message": {"notification": shown, "data": data}}).removesuffix(b'"}}}')


def _tail(content: AlertContent, seconds: int) -> bytes:
    """Return the rest: how Android and Apple's devices are to treat the push."""
    quiet = content.silent or content.urgency is Urgency.QUIET
    key = collapse_form(content.collapse_key, LONGEST_COLLAPSE_KEY)
    android = {
        "priority": "NORMAL" if quiet else "HIGH",
        "ttl": f"{seconds}s",
        "collapse_key": key,
        "notification": {
            "tag": key,
            "channel_id": "quiet" if content.silent else content.urgency.value,
        },
    }
    return json_bytes({"android": android, "apns": _apple(content, key)})[1:] + b"}"


def _apple(content: AlertContent, key: str) -> Mapping[str, object]:
    quiet = content.silent or content.urgency is Urgency.QUIET
    level = "time-sensitive" if content.urgency is Urgency.BREAKING else "active"
    aps: dict[str, object] = {
        "interruption-level": "passive" if quiet else level,
        "thread-id": content.collapse_key,
    }
    aps |= {} if quiet else {"sound": "default"}
    aps |= {"mutable-content": 1} if image_of(content) else {}
    headers = {
        "apns-priority": "5" if quiet else "10",
        "apns-expiration": str(int(content.expires_at.timestamp())),
        "apns-collapse-id": key,
    }
    return {"headers": headers, "payload": {"aps": aps}}
