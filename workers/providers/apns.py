"""Apple Push Notification service: HTTP/2, one device a request, ES256 tokens.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
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
from workers.provider import (
    AlertContent,
    Answer,
    Credential,
    Position,
    Preview,
    Request,
    Target,
)
from workers.provider_kit import answers, presentation
from workers.provider_kit.encoding import json_bytes
from workers.provider_kit.fitted_payload import FittedPayload, head_to_delivery_id
from workers.provider_kit.setting_types import (
    AppleId,
    Name,
    Origin,
    ProviderSettings,
    settings_config,
)
from workers.provider_kit.signing import (
    KeyFile,
    P256KeyPath,
    parse_p256_key,
    period_start,
    sign_es256_token,
)

LIMIT = 4096
LONGEST_COLLAPSE_ID = 64
TOKEN_LIFE = timedelta(minutes=50)
"""Counted from the first use. Apple refuses tokens older than an hour, and renewals more often than
every 20 minutes."""
TOKEN_STEP = timedelta(minutes=5)
"""Tokens are dated in these steps: processes that start together and cannot share sign the same."""
REMINT_AFTER = timedelta(minutes=20)
SKEW = timedelta(minutes=1)
"""How far our clock may be ahead of Apple's: it refuses a token that is dated in the future."""
IMPOSSIBLE_ADDRESS = "00"
_TOKEN = re.compile(r"[0-9a-f]{64,200}")

ACCEPTED = Accepted()


class Settings(ProviderSettings):
    """The settings for reaching Apple."""

    model_config = settings_config("APNS_")
    key_texts: ClassVar[Mapping[str, str]] = {"key": "key_file"}
    secrets = frozenset({"key"})
    app_hints: ClassVar[Mapping[str, str]] = {
        "key": "The text of the .p8 file with the signing key, from Apple."
    }

    url: Origin = Field(
        "https://api.push.apple.com",
        description="Apple's server; https://api.sandbox.push.apple.com for development builds.",
    )
    key_file: P256KeyPath = Field(description="The .p8 file with the signing key, from Apple.")
    key_id: AppleId = Field(description="The key's id: ten characters, beside the key.")
    team_id: AppleId = Field(description="The team's id: ten characters, from Apple.")
    topic: Name = Field(description="The app's bundle id, such as org.example.news.")


_GONE = "the app is gone from the device"
_OUR_FAULT = "Apple refused the push as malformed, a fault of this program to be reported"
_TOPIC = (
    "Apple does not know or allow the app: set APNS_TOPIC to the app's bundle id and make sure "
    "that the key may push to it"
)
_CLOCK = "Apple finds our token too old: set this machine's clock"
_KEY = (
    "Apple does not accept our key: check APNS_KEY_FILE, APNS_KEY_ID and APNS_TEAM_ID against "
    "Apple's developer pages"
)
_ENVIRONMENT = (
    "Apple does not accept our key on this server: set APNS_URL to the sandbox for a development "
    "key and to production for the other"
)
_BROKEN = TryLater("", after=timedelta(0), reconnect=True)
_OVERLOADED = TryLater("", reconnect=True, later=timedelta(minutes=15))

REASONS: Mapping[tuple[int, str], NotAccepted] = {
    (400, "BadDeviceToken"): DeviceGone("no address of this environment", doubtful=True),
    (400, "DeviceTokenNotForTopic"): DeviceGone("an address of another app", doubtful=True),
    (410, "Unregistered"): DeviceGone(_GONE),
    (410, "ExpiredToken"): DeviceGone(_GONE),
    (400, "MissingDeviceToken"): DeviceRefused(_OUR_FAULT),
    (400, "BadCollapseId"): AlertRejected(_OUR_FAULT),
    (400, "BadExpirationDate"): AlertRejected(_OUR_FAULT),
    (400, "BadMessageId"): AlertRejected(_OUR_FAULT),
    (400, "BadPriority"): AlertRejected(_OUR_FAULT),
    (400, "DuplicateHeaders"): AlertRejected(_OUR_FAULT),
    (400, "InvalidPushType"): AlertRejected(_OUR_FAULT),
    (400, "PayloadEmpty"): AlertRejected(_OUR_FAULT),
    (404, "BadPath"): AlertRejected(_OUR_FAULT),
    (405, "MethodNotAllowed"): AlertRejected(_OUR_FAULT),
    (413, "PayloadTooLarge"): AlertRejected("Apple says that the alert is too large"),
    (400, "BadTopic"): SenderRejected(_TOPIC),
    (400, "MissingTopic"): SenderRejected(_TOPIC),
    (400, "TopicDisallowed"): SenderRejected(_TOPIC),
    (403, "ExpiredProviderToken"): SenderRejected(_CLOCK, remint=True),
    (403, "InvalidProviderToken"): SenderRejected(_KEY),
    (403, "MissingProviderToken"): SenderRejected(_KEY),
    (403, "Forbidden"): SenderRejected(_KEY),
    (403, "BadCertificate"): SenderRejected(_KEY),
    (403, "BadCertificateEnvironment"): SenderRejected(_KEY),
    (403, "BadEnvironmentKeyIdInToken"): SenderRejected(_ENVIRONMENT),
    (403, "BadEnvironmentKeyInToken"): SenderRejected(_ENVIRONMENT),
    (400, "IdleTimeout"): _BROKEN,
    (403, "UnrelatedKeyIdInToken"): _BROKEN,
    (429, "TooManyRequests"): TryLater(""),
    (429, "TooManyProviderTokenUpdates"): TryLater(
        "", after=timedelta(minutes=1), reach=Reach.PROVIDER, blameless=True
    ),
    (500, "InternalServerError"): _OVERLOADED,
    (503, "ServiceUnavailable"): _OVERLOADED,
    (503, "Shutdown"): _OVERLOADED,
}
"""What each documented reason means. Apple asks to wait 15 minutes after a 500 or 503. One attempt
goes before that, at once and on a new connection, for it may be one server's trouble alone."""


class Provider:
    """Builds requests for Apple and reads its answers."""

    name = "apns"
    window = 900
    per_minute: int | None = None
    ramp_seconds = 0
    guard = None
    remint_after = REMINT_AFTER

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._key = KeyFile(settings.key_file, "APNS_KEY_FILE", parse_p256_key)

    def check(self, registration: Registration) -> Registration:
        """Accept a device token: hexadecimal digits, returned in lower case."""
        address = registration.address.strip().lower()
        if not _TOKEN.fullmatch(address) or len(address) % 2:
            raise Invalid("address", "An APNs address is 64 to 200 hexadecimal digits.")
        return replace(registration, address=address, kind="token", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Sign a token; no request is needed."""
        yield from ()
        key = self._key.load()
        start = period_start(now, TOKEN_STEP)
        claims = {"iss": self.settings.team_id, "iat": int((start - SKEW).timestamp())}
        token = sign_es256_token(key, claims, {"kid": self.settings.key_id})
        return Credential(token, minted_at=start, fresh_until=now + TOKEN_LIFE)

    def credential_key(self) -> str:
        """Return a name that changes with the key, its id and the team."""
        return f"apns:{self._key.fingerprint(self.settings.key_id, self.settings.team_id)}"

    def pushes(self, content: AlertContent, credential: Credential) -> "ApnsPushes":
        """Prepare the alert: what devices share is encoded once."""
        return ApnsPushes(self.settings, content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for one device. An acceptance only repeats the apns-id that we sent."""
        if answers.is_success(answer.status):
            return [ACCEPTED] * len(positions)
        return [_read(answer)] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Return a push to an impossible address: BadDeviceToken shows that we are let in."""
        headers = (
            f"authorization: bearer {credential.value}",
            f"apns-topic: {self.settings.topic}",
            "apns-push-type: background",
            "apns-priority: 5",
            f"apns-expiration: {int(now.timestamp())}",
        )
        body = json_bytes({"aps": {"content-available": 1}})
        return Request(f"{self.settings.url}/3/device/{IMPOSSIBLE_ADDRESS}", headers, body)

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the payload's size."""
        return _payload(content).preview(locale)


def _read(answer: Answer) -> Verdict:
    error = answers.parse_object(answer.body)
    reason = answers.as_error_code(error.get("reason"))
    verdict = answers.look_up(REASONS, answer.status, reason)
    verdict = verdict or answers.read_status(answer, "Apple", settings="APNS_URL and APNS_TOPIC")
    if isinstance(verdict, TryLater) and reason:
        wait = answers.parse_retry_after(answer, verdict.after)
        return replace(verdict, why=f"Apple answered {reason}", after=wait)
    if isinstance(verdict, DeviceGone) and not verdict.doubtful:
        verdict = replace(verdict, since=_parse_timestamp(error))
    return answers.with_code(verdict, reason)


def _parse_timestamp(error: Mapping[str, Any]) -> datetime | None:
    """Return since when Apple knows that the address is dead, in milliseconds there."""
    try:
        return datetime.fromtimestamp(int(error["timestamp"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


class ApnsPushes:
    """One alert in Apple's form. The head of the payload is encoded once per language."""

    _priorities: ClassVar[Mapping[Urgency, int]] = {
        Urgency.BREAKING: 10,
        Urgency.NORMAL: 10,
        Urgency.QUIET: 5,
    }

    def __init__(self, settings: Settings, content: AlertContent, credential: Credential) -> None:
        self._url = f"{settings.url}/3/device/"
        collapse_id = presentation.fit_collapse_key(content.collapse_key, LONGEST_COLLAPSE_ID)
        priority = 5 if content.silent else self._priorities[content.urgency]
        self._headers = (
            f"authorization: bearer {credential.value}",
            f"apns-topic: {settings.topic}",
            "apns-push-type: alert",
            f"apns-priority: {priority}",
            f"apns-expiration: {presentation.expiry_of(content)}",
            f"apns-collapse-id: {collapse_id}",
        )
        self._heads = _payload(content).heads()

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for each target."""
        del now  # the headers hold the deadline
        url, headers, heads = self._url, self._headers, self._heads
        for target in targets:
            ids = f'{target.delivery_id}","receipt":"{target.receipt}"}}'
            address = target.address if target.address.isalnum() else quote(target.address, "")
            yield Request(
                url + address,
                (*headers, f"apns-id: {target.delivery_id}"),
                heads[target.locale] + ids.encode(),
                (target.position,),
            )


def _payload(content: AlertContent) -> FittedPayload:
    return FittedPayload(content, lambda words, _: _render_head(words, content), limit=LIMIT)


def _render_head(words: Words, content: AlertContent) -> bytes:
    image = presentation.image_url_of(content)
    aps: dict[str, object] = {
        "alert": presentation.shown_words(words),
        "thread-id": content.collapse_key,
        "interruption-level": presentation.interruption_level(content),
    }
    if not presentation.is_quiet(content):
        aps["sound"] = "default"
    if image:
        aps["mutable-content"] = 1
    return head_to_delivery_id(
        {
            "aps": aps,
            **presentation.story_fields(content),
            **({"image": image} if image else {}),
            "delivery_id": "",
        }
    )
