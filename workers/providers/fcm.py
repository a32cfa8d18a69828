"""Firebase Cloud Messaging, HTTP v1: one device a request, OAuth by a service account.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

from pydantic import Field

from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    NotAccepted,
    Reach,
    SenderRejected,
    TryLater,
    Verdict,
)
from workers.provider import AlertContent, Answer, Credential, Position, Preview, Request, Target
from workers.provider_kit import answers, presentation
from workers.provider_kit.encoding import escape_json, json_bytes
from workers.provider_kit.fitted_payload import IDS_ROOM, FittedPayload, head_to_delivery_id
from workers.provider_kit.google import GoogleError, ServiceAccount, ServiceAccountPath
from workers.provider_kit.oauth import bearer_headers, request_access_token
from workers.provider_kit.setting_types import Origin, ProviderSettings, settings_config
from workers.provider_kit.signing import KeyFile

LIMIT = 4096
ADDRESS_ROOM = 300
LONGEST_COLLAPSE_KEY = 64
LONGEST_TTL_SECONDS = 28 * 86_400
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
FIRST_WAIT = timedelta(seconds=10)
"""Google asks to wait at least this long before the second attempt, and longer after each."""
MOST_ATTEMPTS = 14
"""Google asks to give up after 60 minutes: the thirteen waits take 45 minutes, at most 56."""
QUOTA_WAIT = timedelta(minutes=1)
IMPOSSIBLE_ADDRESS = "newszop:an-address-that-cannot-exist"
_TOKEN = re.compile(r"[A-Za-z0-9_-]+:[A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]{64,}")
_FID = re.compile(r"[A-Za-z0-9_-]{20,24}")
_LONGEST_TOKEN = 1024


class Settings(ProviderSettings):
    """The settings for reaching Google."""

    model_config = settings_config("FCM_")
    key_texts: ClassVar[Mapping[str, str]] = {"service_account": "credentials_file"}
    secrets = frozenset({"service_account"})
    app_hints: ClassVar[Mapping[str, str]] = {
        "service_account": "The service account's JSON, from the Firebase console."
    }

    url: Origin = Field("https://fcm.googleapis.com", description="Google's server.")
    credentials_file: ServiceAccountPath = Field(
        description="The service account's JSON, from the Firebase console; its token_uri is used."
    )
    per_minute: int = Field(
        600_000, ge=1, description="Pushes a minute that the project may send, over all workers."
    )
    ramp_seconds: int = Field(
        60, ge=0, description="Seconds in which the rate grows from nothing to its most."
    )


_LATER = TryLater("", first=FIRST_WAIT)
_QUOTA = TryLater("", after=QUOTA_WAIT, reach=Reach.PROVIDER, blameless=True)
_NOT_A_TOKEN = DeviceGone("not a valid address", doubtful=True)
_TOKEN_REFUSED = SenderRejected(
    "Google does not accept our access token: check that the service account in "
    "FCM_CREDENTIALS_FILE still exists and is enabled",
    remint=True,
)

REASONS: Mapping[tuple[int, str], NotAccepted] = {
    (404, "UNREGISTERED"): DeviceGone("the app is gone from the device"),
    (404, "NOT_FOUND"): DeviceGone("no such address", doubtful=True),
    (400, "INVALID_ARGUMENT"): DeviceRefused(
        "Google finds something wrong with this push", doubtful=True
    ),
    (400, "UNSPECIFIED_ERROR"): DeviceRefused("Google gives no reason"),
    (500, "UNSPECIFIED_ERROR"): DeviceRefused("Google gives no reason"),
    (401, "THIRD_PARTY_AUTH_ERROR"): SenderRejected(
        "Firebase cannot reach Apple or the browser for us: check the APNs key and the web push "
        "key in the Firebase console",
        reach=Reach.DEVICE,
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
"""What each documented error means; `_read_invalid_argument` tells the INVALID_ARGUMENTs apart."""


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
        """Accept a Firebase Installation ID or a registration token; `kind` says which it is."""
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
        """Exchange an assertion that the service account signs for an access token."""
        account = self._file.load()
        return (
            yield from request_access_token(
                account.token_uri,
                account.sign_grant(SCOPE, now),
                now,
                server="Google's token server",
                advice="check that the service account in FCM_CREDENTIALS_FILE and its key still "
                "exist, and this machine's clock",
            )
        )

    def credential_key(self) -> str:
        """Return a name that changes with the service account."""
        return f"fcm:{self._file.fingerprint()}"

    def pushes(self, content: AlertContent, credential: Credential) -> "FcmPushes":
        """Prepare the alert: what devices share is encoded once."""
        return FcmPushes(self._send_url(), content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for one device. An acceptance names its message, and is not parsed."""
        if answers.is_success(answer.status):
            if b'"name"' not in answer.body:
                return [_UNREADABLE] * len(positions)
            return _ACCEPTED if len(positions) == 1 else _ACCEPTED * len(positions)
        return [_read(answer)] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Return a push to an impossible address that Google is only to validate."""
        del now
        body = {"validate_only": True, "message": {"token": IMPOSSIBLE_ADDRESS}}
        return Request(self._send_url(), bearer_headers(credential), json_bytes(body))

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the payload's size."""
        return _payload(content).preview(locale)

    def _send_url(self) -> str:
        return f"{self.settings.url}/v1/projects/{self._file.latest().project_id}/messages:send"


_ACCEPTED: tuple[Verdict, ...] = (Accepted(),)
_UNREADABLE = TryLater("Google's answer does not name a message", unknown=True)
"""What answered may be something in between: a success without its message is none."""


def _read(answer: Answer) -> Verdict:
    if answer.status == 0:
        return _read_status(answer)
    error = GoogleError.parse(answer.body)
    verdict = answers.look_up(REASONS, answer.status, error.code)
    if error.code == "INVALID_ARGUMENT" and verdict:
        verdict = _read_invalid_argument(error)
    if verdict is None or (error.code == "NOT_FOUND" and "Requested entity" not in error.text):
        verdict = _read_status(answer)
    if not isinstance(verdict, TryLater):
        return answers.with_code(verdict, error.code)
    after = answers.parse_retry_after(answer, verdict.after)
    in_trouble = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and after is None
    return replace(
        verdict,
        most_attempts=MOST_ATTEMPTS if in_trouble else None,
        why=f"Google answered {answer.status} {error.code}",
        after=after,
        first=FIRST_WAIT,
        reach=Reach.DEVICE if error.is_device_quota else verdict.reach,
    )


def _read_status(answer: Answer) -> NotAccepted:
    return answers.read_status(answer, "Google", settings="FCM_URL and FCM_CREDENTIALS_FILE")


def _read_invalid_argument(error: GoogleError) -> NotAccepted:
    """Tell an invalid address, which Google reports in two ways, from a malformed push."""
    if "registration token is not a valid" in error.text:
        return _NOT_A_TOKEN
    if any(field in {"message.token", "message.fid"} for field in error.fields):
        return _NOT_A_TOKEN
    if not error.is_service_code and (error.fields or "Invalid JSON" in error.text):
        return AlertRejected("Google cannot read our push, a fault of this program")
    return REASONS[400, "INVALID_ARGUMENT"]


class FcmPushes:
    """One alert in Google's form: a head for each language, the ids, options for all."""

    def __init__(self, url: str, content: AlertContent, credential: Credential) -> None:
        self._url = url
        self._content = content
        self._headers = bearer_headers(credential)
        self._heads = _payload(content).heads()

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for each target; the TTL is what is left at `now`."""
        url, headers, heads = self._url, self._headers, self._heads
        ttl = min(presentation.seconds_left(self._content, now), LONGEST_TTL_SECONDS)
        options = _render_options(self._content, ttl)
        for target in targets:
            kind = "fid" if target.kind == "fid" else "token"
            ids = (
                f'{target.delivery_id}","receipt":"{target.receipt}"}},'
                f'"{kind}":"{escape_json(target.address)}",'
            )
            yield Request(
                url, headers, heads[target.locale] + ids.encode() + options, (target.position,)
            )


def _payload(content: AlertContent) -> FittedPayload:
    options = _render_options(content, LONGEST_TTL_SECONDS)
    room = IDS_ROOM + len(',"token":"",') + ADDRESS_ROOM + len(options)
    return FittedPayload(
        content, lambda words, _: _render_head(words, content), limit=LIMIT, tail_room=room
    )


def _render_head(words: Words, content: AlertContent) -> bytes:
    """Return the push up to the delivery's id. None of the keys in `data` is a reserved one."""
    image = presentation.wide_image_url_of(content)
    shown = presentation.shown_words(words) | ({"image": image} if image else {})
    data = {**presentation.story_fields(content), "delivery_id": ""}
    return head_to_delivery_id({"message": {"notification": shown, "data": data}})


def _render_options(content: AlertContent, ttl: int) -> bytes:
    """Return the end of the push: what Android and Apple's devices do with it."""
    key = presentation.fit_collapse_key(content.collapse_key, LONGEST_COLLAPSE_KEY)
    android = {
        "priority": "NORMAL" if presentation.is_quiet(content) else "HIGH",
        "ttl": f"{ttl}s",
        "collapse_key": key,
        "notification": {"tag": key, "channel_id": presentation.android_channel(content)},
    }
    return json_bytes({"android": android, "apns": _apns_options(content, key)})[1:] + b"}"


def _apns_options(content: AlertContent, key: str) -> Mapping[str, object]:
    quiet = presentation.is_quiet(content)
    aps: dict[str, object] = {
        "interruption-level": presentation.interruption_level(content),
        "thread-id": content.collapse_key,
    }
    aps |= {} if quiet else {"sound": "default"}
    aps |= {"mutable-content": 1} if presentation.image_url_of(content) else {}
    headers = {
        "apns-priority": "5" if quiet else "10",
        "apns-expiration": str(presentation.expiry_of(content)),
        "apns-collapse-id": key,
    }
    return {"headers": headers, "payload": {"aps": aps}}
