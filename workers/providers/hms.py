"""Huawei Push Kit, v1: up to 1,000 devices a request; a code in the body says what became of it.

https://developer.huawei.com/consumer/en/doc/HMSCore-References/https-send-api-0000001050986197
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import urlsplit

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
    ANSWER_LIMIT,
    AlertContent,
    Answer,
    Credential,
    Position,
    Preview,
    Request,
    Target,
)
from workers.provider_kit import answers, presentation
from workers.provider_kit.addressed_positions import AddressedPositions, addresses_at
from workers.provider_kit.encoding import escape_json, json_bytes
from workers.provider_kit.fitted_payload import FittedPayload
from workers.provider_kit.oauth import bearer_headers, request_access_token
from workers.provider_kit.setting_types import Name, Origin, ProviderSettings, settings_config

LIMIT = 4096
SPACES_ROOM = 64
"""Huawei counts the push as it parsed it, not our bytes: it may write it with spaces."""
DEVICES_AT_ONCE = 1000
LONGEST_TTL_SECONDS = 15 * 86_400
LONGEST_TAG = 64
IMPOSSIBLE_ADDRESS = "an-address-that-cannot-exist-at-huawei"
_TOKEN = re.compile(r"[A-Za-z0-9_=+/:.-]{16,1024}")
_CODE = re.compile(rb'"code"\s*:\s*"?(\d{1,12})')


class Settings(ProviderSettings):
    """The settings for reaching Huawei."""

    model_config = settings_config("HMS_")
    secrets = frozenset({"app_secret"})

    url: Origin = Field("https://push-api.cloud.huawei.com", description="Huawei's push server.")
    token_url: Origin = Field(
        "https://oauth-login.cloud.huawei.com", description="Huawei's token server."
    )
    app_id: Name = Field(description="The app's id, from AppGallery Connect.")
    app_secret: str = Field(min_length=1, description="The app's secret, from AppGallery Connect.")
    category: str = Field(
        "", description="The message category Huawei granted the app; without one pushes are few."
    )


_PARAMETER = AlertRejected("Huawei refused the push as malformed, a fault of this program")
_TOKEN_REFUSED = SenderRejected(
    "Huawei does not accept our access token: check HMS_APP_ID and HMS_APP_SECRET", remint=True
)

REASONS: Mapping[str, NotAccepted] = {
    "80100001": _PARAMETER,
    "80100003": _PARAMETER,
    "80100004": _PARAMETER,
    "80100013": _PARAMETER,
    "80100016": AlertRejected("Huawei finds the alert's words sensitive: an editor must look"),
    "80100017": TryLater(""),
    "80200001": _TOKEN_REFUSED,
    "80200003": _TOKEN_REFUSED,
    "80200005": _TOKEN_REFUSED,
    "80300002": SenderRejected(
        "Huawei does not let this app push: enable Push Kit in AppGallery Connect and check that "
        "HMS_APP_ID is the app's whose devices these are",
        of_address=True,
    ),
    "80300007": DeviceGone("not one address of the request is valid", doubtful=True),
    "80300008": AlertRejected("Huawei says that the alert is too large"),
    "80300010": DeviceRefused("Huawei takes fewer addresses at once than we sent"),
    "80300011": AlertRejected(
        "Huawei does not let this app send breaking alerts: ask for the right to high priority"
    ),
    "80300013": SenderRejected(
        "Huawei cannot reach the receipt address: mend it in AppGallery Connect"
    ),
    "80600003": TryLater("", reach=Reach.PROVIDER, blameless=True),
    "81000001": TryLater(""),
}
"""What each documented code means, but for the two that accept some or all of the devices."""
SUCCESS, PARTIAL = "80000000", "80100000"
_BUSY = frozenset({502, 503})


class Provider:
    """Builds requests for Huawei and reads its answers."""

    name = "hms"
    window = 16
    per_minute: int | None = None
    ramp_seconds = 0
    guard = None
    carries_receipts: Literal[False] = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check(self, registration: Registration) -> Registration:
        """Accept a push token."""
        address = registration.address.strip()
        if not _TOKEN.fullmatch(address):
            raise Invalid("address", "An HMS address is a push token of 16 to 1024 characters.")
        return replace(registration, address=address, kind="token", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Exchange the app's id and secret for an access token (client credentials)."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.app_id,
            "client_secret": self.settings.app_secret,
        }
        return (
            yield from request_access_token(
                f"{self.settings.token_url}/oauth2/v3/token",
                form,
                now,
                server="Huawei's token server",
                advice="check HMS_APP_ID and HMS_APP_SECRET against AppGallery Connect",
            )
        )

    def credential_key(self) -> str:
        """Return a name that changes with the app's id and secret and contains neither."""
        secret = f"{self.settings.app_id}\0{self.settings.app_secret}"
        return f"hms:{sha256(secret.encode()).hexdigest()[:16]}"

    def pushes(self, content: AlertContent, credential: Credential) -> "HmsPushes":
        """Prepare the alert: the requests of one language differ only in their addresses."""
        return HmsPushes(self.settings, content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for all devices of the request."""
        match = _CODE.search(answer.body)
        code = match[1].decode() if match else ""
        if answers.is_success(answer.status) and code == SUCCESS:
            return [Accepted()] * len(positions)
        if answers.is_success(answer.status) and code == PARTIAL:
            return _read_partial(answer, positions)
        return [_read(answer, code)] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Return a push to an impossible address that Huawei is only to validate."""
        del now
        payload = {"data": "{}", "token": [IMPOSSIBLE_ADDRESS]}
        return Request(
            _send_url(self.settings),
            bearer_headers(credential),
            json_bytes({"validate_only": True, "message": payload}),
        )

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the size of the push without addresses."""
        return _fitted(content, self.settings.category).preview(locale)


def _send_url(settings: Settings) -> str:
    return f"{settings.url}/v1/{settings.app_id}/messages:send"


def _read(answer: Answer, code: str) -> Verdict:
    verdict = REASONS.get(code)
    if verdict is None and answers.is_success(answer.status):
        if code:
            return DeviceRefused(f"Huawei answered {code}, which is not documented")
        return TryLater("Huawei's answer cannot be read", unknown=True)
    verdict = verdict or answers.read_status(answer, "Huawei", settings="HMS_URL and HMS_APP_ID")
    if not isinstance(verdict, TryLater) or answer.status == 0:
        return answers.with_code(verdict, code)
    all_slow = verdict.reach is Reach.PROVIDER or answer.status in _BUSY
    return replace(
        verdict,
        why=f"Huawei answered {code or answer.status}",
        after=answers.parse_retry_after(answer),
        reach=Reach.PROVIDER if all_slow else Reach.DEVICE,
        blameless=all_slow,
    )


def _read_partial(answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
    """Tell the illegal addresses from the others, which were accepted.

    They are believed where they are fewer than the others: many may be a mistake of ours.

    If the list of them cannot be read, all positions count as accepted: no reader is alerted
    twice, and the next alert's answer names the dead addresses again.
    """
    detail = answers.parse_object(str(answers.parse_object(answer.body).get("msg", "")))
    tokens = detail.get("illegal_tokens")
    illegal = {str(token) for token in tokens} if isinstance(tokens, list) else set()
    addresses = addresses_at(positions)
    if addresses is None or not illegal:
        return [Accepted()] * len(positions)
    count = sum(address in illegal for address in addresses)
    gone = DeviceGone("Huawei calls the address illegal", doubtful=count * 2 >= len(addresses))
    return [gone if address in illegal else Accepted() for address in addresses]


class HmsPushes:
    """One alert in Huawei's form, one request for up to 1,000 devices of one language.

    It cannot carry what belongs to one device: `delivery_id` and `receipt`. A request has one data
    for all its addresses, with nothing to fill in by address, and Huawei's own receipts say that a
    push arrived, not that it was opened.
    """

    def __init__(self, settings: Settings, content: AlertContent, credential: Credential) -> None:
        self._url = _send_url(settings)
        self._category = settings.category
        self._content = content
        self._headers = bearer_headers(credential)
        self._words = _fitted(content, self._category).words()

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for up to 1,000 targets of one language."""
        ttl = min(max(1, presentation.seconds_left(self._content, now)), LONGEST_TTL_SECONDS)
        by_words: dict[Words, list[Target]] = {}
        for target in targets:
            by_words.setdefault(self._words[target.locale], []).append(target)
        for words, group in by_words.items():
            payload = _payload(words, self._content, self._category, ttl)
            head = json_bytes({"message": payload})[:-2] + b',"token":['
            for start in range(0, len(group), DEVICES_AT_ONCE):
                yield self._request(head, group[start : start + DEVICES_AT_ONCE])

    def _request(self, head: bytes, targets: Sequence[Target]) -> Request:
        tokens = ",".join(f'"{escape_json(target.address)}"' for target in targets)
        return Request(
            self._url,
            self._headers,
            head + tokens.encode() + b"]}}",
            AddressedPositions.of(targets),
            answer_limit=ANSWER_LIMIT + 2 * len(tokens),
        )


def _fitted(content: AlertContent, category: str) -> FittedPayload:
    def render(words: Words, _: str) -> bytes:
        return json_bytes(_payload(words, content, category, LONGEST_TTL_SECONDS))

    return FittedPayload(content, render, limit=LIMIT, tail_room=SPACES_ROOM)


def _payload(words: Words, content: AlertContent, category: str, ttl: int) -> Mapping[str, object]:
    """Return the push without its addresses.

    It has no collapse_key: Huawei keeps a hundred of them, and a clash would lose another story's
    alert. The tag replaces an earlier alert of this story on the screen. Huawei asks for a body: an
    alert without one shows the site's host.
    """
    quiet = presentation.is_quiet(content)
    image = presentation.wide_image_url_of(content)
    shown = {"body": urlsplit(content.url).hostname} | presentation.shown_words(words)
    shown |= {"image": image} if image else {}
    android = {
        "urgency": "HIGH" if content.urgency is Urgency.BREAKING and not quiet else "NORMAL",
        "ttl": f"{ttl}s",
        **({"category": category} if category else {}),
        "notification": {
            "tag": presentation.fit_collapse_key(content.collapse_key, LONGEST_TAG),
            "importance": "LOW" if quiet else "NORMAL",
            "click_action": _click_action(content.url),
        },
    }
    data = json_bytes(presentation.story_fields(content)).decode()
    return {"notification": shown, "data": data, "android": android}


def _click_action(url: str) -> Mapping[str, object]:
    """Open the story's page; Huawei opens only https addresses, so any other opens the app."""
    return {"type": 2, "url": url} if url.startswith("https://") else {"type": 3}
