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
from workers.provider_kit.answers import (
    Setback,
    as_word,
    is_success,
    named,
    parse_object,
    read_status,
    retry_after,
)
from workers.provider_kit.encoding import Origin, collapse_form, image_of, json_bytes
from workers.provider_kit.signing import KeyFile, P256KeyPath, es256_token, p256_key, period_start

LIMIT = 4096
LONGEST_COLLAPSE_ID = 64
TOKEN_PERIOD = timedelta(minutes=50)
"""Apple refuses tokens older than an hour, and those renewed more often than every 20 minutes."""
SKEW = timedelta(minutes=1)
"""How far our clock may be ahead of Apple's, which takes no token from the future."""
IMPOSSIBLE_ADDRESS = "00"
_TOKEN = re.compile(r"[0-9a-f]{64,200}")

ACCEPTED = Accepted()


class Settings(BaseSettings):
    """What reaching Apple takes."""

    model_config = SettingsConfigDict(
        env_prefix="APNS_", env_file=".env", extra="ignore", frozen=True
    )

    url: Origin = Field(
        "https://api.push.apple.com",
        description="Apple's server; https://api.sandbox.push.apple.com for development builds.",
    )
    key_file: P256KeyPath = Field(description="The .p8 file with the signing key, from Apple.")
    key_id: str = Field(min_length=1, description="The key's id: ten characters, beside the key.")
    team_id: str = Field(min_length=1, description="The team's id: ten characters, from Apple.")
    topic: str = Field(min_length=1, description="The app's bundle id, such as org.example.news.")


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
_OVERLOADED = TryLater("", reconnect=True)

REASONS: Mapping[tuple[int, str], Setback] = {
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
        "", after=timedelta(minutes=1), scope=Scope.PROVIDER, blameless=True
    ),
    (500, "InternalServerError"): _OVERLOADED,
    (503, "ServiceUnavailable"): _OVERLOADED,
    (503, "Shutdown"): _OVERLOADED,
}
"""What each documented reason means. Apple would have a 500 or 503 wait for 15 minutes; a breaking
alert tries again on a new connection, ever more slowly, and expires if that does not help."""


class Provider:
    """Builds requests for Apple and reads its answers."""

    name = "apns"
    window = 900
    per_minute: int | None = None
    ramp_seconds = 0
    guard = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._key = KeyFile(settings.key_file, "APNS_KEY_FILE", p256_key)

    def check(self, registration: Registration) -> Registration:
        """Take a device token: hexadecimal, in lower case from here on."""
        address = registration.address.strip().lower()
        if not _TOKEN.fullmatch(address) or len(address) % 2:
            raise Invalid("address", "An APNs address is 64 to 200 hexadecimal digits.")
        return replace(registration, address=address, kind="token", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Sign a token; no request is needed."""
        yield from ()
        key = self._key.load()
        begin = period_start(now, TOKEN_PERIOD)
        claims = {"iss": self.settings.team_id, "iat": int((begin - SKEW).timestamp())}
        token = es256_token(key, claims, {"kid": self.settings.key_id})
        return Credential(token, minted_at=begin, fresh_until=begin + TOKEN_PERIOD)

    def credential_key(self) -> str:
        """Return a name that changes with the key, its id and the team."""
        return f"apns:{self._key.fingerprint(self.settings.key_id, self.settings.team_id)}"

    def pushes(self, content: AlertContent, credential: Credential) -> "Pushes":
        """Prepare the alert: all that devices share is encoded once."""
        return Pushes(self.settings, content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for one device. A yes names no more than the apns-id that we sent."""
        if is_success(answer.status):
            return [ACCEPTED] * len(positions)
        return [_read(answer)] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Push to an address that cannot exist: BadDeviceToken is the good answer."""
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
        words, _ = words_in(choose(locale, content), content)
        fitted, shortened = _fit(words, content)
        used = len(_head(fitted, content)) + DELIVERY_ID_ROOM + RECEIPT_ROOM + len(_TAIL)
        return Preview(fitted.title, fitted.body, used, LIMIT, shortened)


def _read(answer: Answer) -> Verdict:
    told = parse_object(answer.body)
    reason = as_word(told.get("reason"))
    verdict = REASONS.get((answer.status, reason)) or read_status(answer, "Apple")
    if isinstance(verdict, TryLater) and reason:
        wait = retry_after(answer, verdict.after)
        return replace(verdict, why=f"Apple answered {reason}", after=wait)
    if isinstance(verdict, DeviceGone) and not verdict.doubtful:
        verdict = replace(verdict, since=_since(told))
    return named(verdict, reason)


def _since(told: Mapping[str, Any]) -> datetime | None:
    """Return from when Apple knows the address as dead; its timestamp is in milliseconds."""
    try:
        return datetime.fromtimestamp(int(told["timestamp"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


class Pushes:
    """One alert in Apple's form. The payload of a language is encoded once, ids are put behind."""

    _priorities: ClassVar[Mapping[Urgency, int]] = {
        Urgency.BREAKING: 10,
        Urgency.NORMAL: 10,
        Urgency.QUIET: 5,
    }

    def __init__(self, settings: Settings, content: AlertContent, credential: Credential) -> None:
        self._url = f"{settings.url}/3/device/"
        priority = 5 if content.silent else self._priorities[content.urgency]
        self._headers = (
            f"authorization: bearer {credential.value}",
            f"apns-topic: {settings.topic}",
            "apns-push-type: alert",
            f"apns-priority: {priority}",
            f"apns-expiration: {int(content.expires_at.timestamp())}",
            f"apns-collapse-id: {collapse_form(content.collapse_key, LONGEST_COLLAPSE_ID)}",
        )
        self._heads = ByLocale(content, lambda words, _: _head(_fit(words, content)[0], content))

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for each target."""
        del now  # the deadline stands in the headers
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


_TAIL = '","receipt":""}'


def _fit(words: Words, content: AlertContent) -> tuple[Words, bool]:
    frame = len(_head(Words("", ""), content)) + DELIVERY_ID_ROOM + RECEIPT_ROOM + len(_TAIL)
    return fit(words, LIMIT - frame)


def _head(words: Words, content: AlertContent) -> bytes:
    """Return the payload up to the delivery's id."""
    quiet = content.silent or content.urgency is Urgency.QUIET
    image = image_of(content)
    alert = {"title": words.title, "body": words.body}
    aps: dict[str, object] = {"alert": alert, "thread-id": content.collapse_key}
    aps["interruption-level"] = _interruption(content)
    if not quiet:
        aps["sound"] = "default"
    if image:
        aps["mutable-content"] = 1
    payload = {
        "aps": aps,
        "alert_id": content.alert_id,
        "story_id": content.story_id,
        "url": content.url,
        **({"image": image} if image else {}),
        "delivery_id": "",
    }
    return json_bytes(payload).removesuffix(b'"}')


def _interruption(content: AlertContent) -> str:
    if content.silent or content.urgency is Urgency.QUIET:
        return "passive"
    return "time-sensitive" if content.urgency is Urgency.BREAKING else "active"
