"""Huawei Push Kit, v1: up to 1,000 devices a request; HTTP 200 whatever the code inside says.

https://developer.huawei.com/consumer/en/doc/HMSCore-References/https-send-api-0000001050986197
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

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
    ANSWER_LIMIT,
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
    is_success,
    named,
    parse_object,
    read_status,
    retry_after,
)
from workers.provider_kit.encoding import (
    Addressed,
    Origin,
    collapse_form,
    image_of,
    json_bytes,
    json_inside,
    seconds_left,
)
from workers.provider_kit.oauth import access_token

LIMIT = 4096
SPACES_ROOM = 64
"""Huawei counts the message, not our bytes: it may write it with spaces."""
DEVICES_AT_ONCE = 1000
LONGEST_TTL_SECONDS = 15 * 86_400
LONGEST_TAG = 64
IMPOSSIBLE_ADDRESS = "an-address-that-cannot-exist-at-huawei"
_TOKEN = re.compile(r"[A-Za-z0-9_=+/:.-]{16,1024}")
_CODE = re.compile(rb'"code"\s*:\s*"?(\d{1,12})')


class Settings(BaseSettings):
    """What reaching Huawei takes."""

    model_config = SettingsConfigDict(
        env_prefix="HMS_", env_file=".env", extra="ignore", frozen=True
    )

    url: Origin = Field("https://push-api.cloud.huawei.com", description="Huawei's push server.")
    token_url: Origin = Field(
        "https://oauth-login.cloud.huawei.com", description="Huawei's token server."
    )
    app_id: str = Field(min_length=1, description="The app's id, from AppGallery Connect.")
    app_secret: str = Field(min_length=1, description="The app's secret, from AppGallery Connect.")
    category: str = Field(
        "", description="The message category Huawei granted the app; without one pushes are few."
    )


_PARAMETER = AlertRejected("Huawei refused the push as malformed, a fault of this program")
_TOKEN_REFUSED = SenderRejected(
    "Huawei does not accept our access token: check HMS_APP_ID and HMS_APP_SECRET", remint=True
)

REASONS: Mapping[str, Setback] = {
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
        "HMS_APP_ID is the app's whose devices these are"
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
    "80600003": TryLater("", scope=Scope.PROVIDER, blameless=True),
    "81000001": TryLater(""),
}
"""What each documented code means; 80000000 is a yes, 80100000 a yes for some."""
SUCCESS, PARTIAL = "80000000", "80100000"
_BUSY = frozenset({502, 503})


class Provider:
    """Builds requests for Huawei and reads its answers."""

    name = "hms"
    window = 16
    per_minute: int | None = None
    ramp_seconds = 0
    guard = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check(self, registration: Registration) -> Registration:
        """Take a push token."""
        address = registration.address.strip()
        if not _TOKEN.fullmatch(address):
            raise Invalid("address", "An HMS address is a push token of 16 to 1024 characters.")
        return replace(registration, address=address, kind="token", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Exchange the app's id and secret for an access token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.app_id,
            "client_secret": self.settings.app_secret,
        }
        return (
            yield from access_token(
                f"{self.settings.token_url}/oauth2/v3/token",
                form,
                now,
                server="Huawei's token server",
                advice="check HMS_APP_ID and HMS_APP_SECRET against AppGallery Connect",
            )
        )

    def credential_key(self) -> str:
        """Return a name that changes with the app's id and secret, and tells neither."""
        secret = f"{self.settings.app_id}\0{self.settings.app_secret}"
        return f"hms:{sha256(secret.encode()).hexdigest()[:16]}"

    def pushes(self, content: AlertContent, credential: Credential) -> "Pushes":
        """Prepare the alert: a request differs from the next by its addresses alone."""
        return Pushes(self.settings, content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for all devices of the request."""
        found = _CODE.search(answer.body)
        code = found[1].decode() if found else ""
        if is_success(answer.status) and code == SUCCESS:
            return [Accepted()] * len(positions)
        if is_success(answer.status) and code == PARTIAL:
            return _read_partial(answer, positions)
        return [_read(answer, code)] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Have a push checked for an address that cannot exist."""
        del now
        payload = {"data": "{}", "token": [IMPOSSIBLE_ADDRESS]}
        return Request(
            _send_url(self.settings),
            _headers(credential),
            json_bytes({"validate_only": True, "message": payload}),
        )

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the size of the push without addresses."""
        words, _ = words_in(choose(locale, content), content)
        fitted, shortened = _fit(words, content, self.settings.category)
        used = _size(fitted, content, self.settings.category)
        return Preview(fitted.title, fitted.body, used, LIMIT, shortened)


def _send_url(settings: Settings) -> str:
    return f"{settings.url}/v1/{settings.app_id}/messages:send"


def _headers(credential: Credential) -> Sequence[str]:
    return (f"authorization: Bearer {credential.value}", "content-type: application/json")


def _read(answer: Answer, code: str) -> Verdict:
    verdict = REASONS.get(code)
    if verdict is None and is_success(answer.status):
        if code:
            return DeviceRefused(f"Huawei answered {code}, which we do not know")
        return TryLater("Huawei's answer is none that we can read", unknown=True)
    verdict = verdict or read_status(answer, "Huawei")
    if not isinstance(verdict, TryLater) or answer.status == 0:
        return named(verdict, code)
    slow = verdict.scope is Scope.PROVIDER or answer.status in _BUSY
    return replace(
        verdict,
        why=f"Huawei answered {code or answer.status}",
        after=retry_after(answer),
        scope=Scope.PROVIDER if slow else Scope.DEVICE,
        blameless=slow,
    )


def _read_partial(answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
    """Tell the illegal addresses from the others, which were accepted.

    If the list cannot be read all count as accepted: the dead ones are named again next time, and
    no reader is alerted twice.
    """
    told = parse_object(str(parse_object(answer.body).get("msg", "")))
    listed = told.get("illegal_tokens")
    illegal = {str(token) for token in listed} if isinstance(listed, list) else set()
    addresses = positions.addresses if isinstance(positions, Addressed) else ()
    if len(addresses) != len(positions) or not illegal:
        return [Accepted()] * len(positions)
    gone = DeviceGone("Huawei calls the address illegal", doubtful=illegal.issuperset(addresses))
    return [gone if address in illegal else Accepted() for address in addresses]


class Pushes:
    """One alert in Huawei's form, one request for up to 1,000 devices of one language.

    What belongs to one device, `delivery_id` and `receipt`, cannot be in it.
    """

    def __init__(self, settings: Settings, content: AlertContent, credential: Credential) -> None:
        self._url = _send_url(settings)
        self._category = settings.category
        self._content = content
        self._headers = _headers(credential)
        self._words = ByLocale(content, lambda words, _: _fit(words, content, self._category)[0])

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for up to 1,000 targets of one language."""
        left = min(max(1, seconds_left(self._content, now)), LONGEST_TTL_SECONDS)
        by_words: dict[Words, list[Target]] = {}
        for target in targets:
            by_words.setdefault(self._words[target.locale], []).append(target)
        for words, group in by_words.items():
            payload = _payload(words, self._content, self._category, left)
            head = json_bytes({"message": payload})[:-2] + b',"token":['
            for start in range(0, len(group), DEVICES_AT_ONCE):
                yield self._request(head, group[start : start + DEVICES_AT_ONCE])

    def _request(self, head: bytes, targets: Sequence[Target]) -> Request:
        tokens = ",".join(f'"{json_inside(target.address)}"' for target in targets)
        return Request(
            self._url,
            self._headers,
            head + tokens.encode() + b"]}}",
            Addressed.of(targets),
            answer_limit=ANSWER_LIMIT + 2 * len(tokens),
        )


def _fit(words: Words, content: AlertContent, category: str) -> tuple[Words, bool]:
    return fit(words, LIMIT - _size(Words("", ""), content, category))


def _size(words: Words, content: AlertContent, category: str) -> int:
    body = json_bytes(_payload(words, content, category, LONGEST_TTL_SECONDS))
    return len(body) + SPACES_ROOM


def _payload(
    words: Words, content: AlertContent, category: str, seconds: int
) -> Mapping[str, object]:
    """Return the push without its addresses."""
    quiet = content.silent or content.urgency is Urgency.QUIET
    image = image_of(content)
    shown = {"title": words.title, "body": words.body} | ({"image": image} if image else {})
    data = {
        "alert_id": content.alert_id,
        "story_id": content.story_id,
        "url": content.url,
    }
    android = {
        "urgency": "HIGH" if content.urgency is Urgency.BREAKING and not quiet else "NORMAL",
        "ttl": f"{seconds}s",
        **({"category": category} if category else {}),
        "notification": {
            "tag": collapse_form(content.collapse_key, LONGEST_TAG),
            "importance": "LOW" if quiet else "NORMAL",
            "click_action": _click(content.url),
        },
    }
    # No collapse_key: Huawei has a hundred of them, and a clash would lose another story's alert.
    # The tag is what replaces an earlier alert of this story on the screen.
    return {"notification": shown, "data": json_bytes(data).decode(), "android": android}


def _click(url: str) -> Mapping[str, object]:
    """Open the story's page; Huawei opens https addresses only, so else the app."""
    return {"type": 2, "url": url} if url.startswith("https://") else {"type": 3}
