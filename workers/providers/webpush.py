"""Web Push: one endpoint a request, encrypted for the browser, signed for its push service.

RFC 8030 (the request), RFC 8291 (the encryption), RFC 8292 (VAPID: who we are).
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.language import is_right_to_left
from service.domain.network import origin_of
from service.domain.subscription import Urgency
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Scope,
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
    read_failure,
    retry_after,
)
from workers.provider_kit.encoding import (
    base64url,
    collapse_form,
    from_base64url,
    image_of,
    json_bytes,
    seconds_left,
)
from workers.provider_kit.encryption import OVERHEAD, SECRET_BYTES, encrypt, is_point, point
from workers.provider_kit.endpoints import (
    KNOWN_PUSH_SERVICES,
    Allowed,
    AllowedHosts,
    EndpointRefused,
)
from workers.provider_kit.signing import KeyFile, P256KeyPath, p256_key, period_start
from workers.provider_kit.vapid import TOKEN_PERIOD, Signer, Subject

LIMIT = 4096 - OVERHEAD
BRIDGED_LIMIT = 2744 - OVERHEAD
"""What Mozilla takes for Firefox on Android, which it reaches through Google."""
BRIDGED = ".mozilla.com"
LONGEST_TOPIC = 32
MOST_ERRNO = 1000
_KEYS = "The browser's keys are the 65 bytes of a P-256 point and 16 secret bytes, in base64url."


class Settings(BaseSettings):
    """What reaching browsers takes."""

    model_config = SettingsConfigDict(
        env_prefix="WEBPUSH_", env_file=".env", extra="ignore", frozen=True
    )

    vapid_key_file: P256KeyPath = Field(
        description="The P-256 private key (PEM) that browsers know us by; a new one loses them."
    )
    subject: Subject = Field(
        description="Where push services reach a person: mailto:... or https://..., a real one."
    )
    allowed_hosts: AllowedHosts = Field(
        KNOWN_PUSH_SERVICES,
        description="Hosts of push services, comma-separated: host, host:port (taken as it "
        "stands), *.suffix, or * for any public one.",
    )


_KEY_REFUSED = DeviceGone("its push service refuses our VAPID key for it", doubtful=True)
_BAD_TOKEN = DeviceRefused(
    "Apple refuses our VAPID token: check WEBPUSH_SUBJECT and this machine's clock"
)
_BAD_KEYS = DeviceRefused("its push service finds its keys wrong")
_MALFORMED = AlertRejected("A push service finds our request malformed: a fault of this program")

STATUSES: Mapping[int, Setback] = {
    400: DeviceRefused("its push service finds something wrong with this push"),
    401: _KEY_REFUSED,
    403: _KEY_REFUSED,
    404: DeviceGone("its push service says that the subscription has ended"),
    410: DeviceGone("its push service says that the subscription has ended"),
    413: AlertRejected("A push service says that the alert is too large."),
    406: TryLater("", scope=Scope.ORIGIN),
    429: TryLater("", scope=Scope.ORIGIN),
}
"""What a status means; the wait of an origin that is asked too much is that origin's alone."""

DETAILS: Mapping[tuple[int, int | str], Setback] = {
    (400, 101): _BAD_KEYS,
    (400, 110): _BAD_KEYS,
    (400, 111): _MALFORMED,
    (400, 112): _MALFORMED,
    (400, 113): _MALFORMED,
    (403, "BadJwtToken"): _BAD_TOKEN,
    (503, 202): TryLater("", after=timedelta(0)),
}
"""What Mozilla's own numbers and Apple's own words add to the status."""


class Provider:
    """Builds requests for push services and reads their answers."""

    name = "webpush"
    window = 900
    per_minute: int | None = None
    ramp_seconds = 0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._key = KeyFile(settings.vapid_key_file, "WEBPUSH_VAPID_KEY_FILE", p256_key)
        self._allowed = Allowed.parse(settings.allowed_hosts)
        self.guard = self._allowed.names

    def is_known_server(self, url: str) -> bool:
        """Whether the endpoint's push service is one that was named, not just any server."""
        return self._allowed.is_known_server(url)

    @property
    def public_key(self) -> str:
        """Our VAPID key as browsers want it: `applicationServerKey`, base64url."""
        return base64url(point(self._key.latest().public_key()))

    def check(self, registration: Registration) -> Registration:
        """Take an endpoint of a push service we know, with keys that can be encrypted for."""
        try:
            endpoint = self._allowed.check(registration.address.strip())
        except EndpointRefused as error:
            raise Invalid("address", str(error)) from None
        key = _decode(registration.p256dh, "keys.p256dh")
        secret = _decode(registration.auth, "keys.auth")
        if not is_point(key) or base64url(key) == self.public_key:
            raise Invalid("keys.p256dh", _KEYS)
        if len(secret) != SECRET_BYTES:
            raise Invalid("keys.auth", _KEYS)
        return replace(
            registration,
            address=endpoint,
            kind="endpoint",
            p256dh=base64url(key),
            auth=base64url(secret),
        )

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Return the period in which tokens are signed, one for each push service as it comes."""
        yield from ()
        self._key.load()
        begin = period_start(now, TOKEN_PERIOD)
        return Credential(self.public_key, minted_at=begin, fresh_until=begin + TOKEN_PERIOD)

    def credential_key(self) -> str:
        """Return a name that changes with the key and the subject."""
        return f"webpush:{self._key.fingerprint(self.settings.subject)}"

    def pushes(self, content: AlertContent, credential: Credential) -> "Pushes":
        """Prepare the alert: the plaintext of a language is encoded once."""
        signer = Signer(self._key.latest(), self.settings.subject, credential.minted_at)
        return Pushes(content, signer)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for one device."""
        if is_success(answer.status):
            return [Accepted()] * len(positions)
        verdict = _read(answer)
        if self._allowed.open and isinstance(verdict, AlertRejected):
            # Any server may be behind an endpoint now; none of them shall stop an alert for others.
            verdict = DeviceRefused(verdict.why)
        return [verdict] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> None:
        """Return None: there is no push service that every subscription shares."""
        del credential, now

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the size of what is encrypted."""
        tag = choose(locale, content)
        words, language = words_in(tag, content)
        fitted, shortened = _fit(words, language, content, LIMIT)
        used = len(_head(fitted, language, content)) + _TAIL_ROOM
        return Preview(fitted.title, fitted.body, used, LIMIT, shortened)


def _decode(key: str | None, field: str) -> bytes:
    try:
        return from_base64url(key or "")
    except ValueError:
        raise Invalid(field, _KEYS) from None


def _read(answer: Answer) -> Setback:
    status = answer.status
    if status == 0:
        return read_failure(answer)
    body = parse_object(answer.body)
    errno, reason = body.get("errno"), as_word(body.get("reason"))
    detail = errno if isinstance(errno, int) and 0 < errno < MOST_ERRNO else reason
    told = f"answer {status}" + (f", {detail}" if detail else "")
    verdict = DETAILS.get((status, detail)) or STATUSES.get(status) or _by_class(status)
    if isinstance(verdict, TryLater):
        wait = retry_after(answer, verdict.after)
        return replace(verdict, why=f"its push service asks to wait ({told})", after=wait)
    return named(verdict, told)


def _by_class(status: int) -> Setback:
    if 500 <= status < 600 or status in {408, 425}:  # noqa: PLR2004 - what 5xx means
        return TryLater("")
    if 300 <= status < 400:  # noqa: PLR2004 - what 3xx means
        return DeviceRefused("its endpoint has moved; redirects are never followed")
    return DeviceRefused("its push service gives a reason that we do not know")


_HIGHEST = {Urgency.BREAKING: "high", Urgency.NORMAL: "normal", Urgency.QUIET: "low"}


class Pushes:
    """One alert for browsers. The headers are shared by all endpoints of one origin."""

    def __init__(self, content: AlertContent, signer: Signer) -> None:
        self._content = content
        self._signer = signer
        self._authorizations: dict[str, str] = {}
        self._heads = _heads(content, LIMIT)
        self._short_heads = _heads(content, BRIDGED_LIMIT)

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one encrypted request for each target; the TTL is what is left at `now`."""
        shared: dict[str, Sequence[str]] = {}
        seconds = seconds_left(self._content, now)
        for target in targets:
            origin = origin_of(target.address)
            headers = shared.get(origin)
            if headers is None:
                headers = shared[origin] = self._headers(origin, seconds)
            body = self._body(target, origin)
            if body is None:
                yield target.position, DeviceRefused("it has no keys to encrypt for")
            else:
                yield Request(target.address, headers, body, (target.position,))

    def _body(self, target: Target, origin: str) -> bytes | None:
        heads = self._short_heads if origin.endswith(BRIDGED) else self._heads
        ids = f'{target.delivery_id}","receipt":"{target.receipt}"}}'
        try:
            key = from_base64url(target.p256dh or "")
            secret = from_base64url(target.auth or "")
            return encrypt(heads[target.locale] + ids.encode(), key, secret)
        except ValueError:
            return None

    def _headers(self, origin: str, seconds: int) -> Sequence[str]:
        if origin not in self._authorizations:
            self._authorizations[origin] = self._signer.authorization(origin)
        content = self._content
        urgency = "low" if content.silent else _HIGHEST[content.urgency]
        return (
            f"authorization: {self._authorizations[origin]}",
            "content-encoding: aes128gcm",
            "content-type: application/octet-stream",
            f"ttl: {seconds}",
            f"urgency: {urgency}",
            f"topic: {_topic(content)}",
        )


_TAIL_ROOM = DELIVERY_ID_ROOM + RECEIPT_ROOM + len('","receipt":""}')


def _heads(content: AlertContent, limit: int) -> ByLocale[bytes]:
    def make(words: Words, language: str) -> bytes:
        return _head(_fit(words, language, content, limit)[0], language, content)

    return ByLocale(content, make)


def _fit(words: Words, language: str, content: AlertContent, limit: int) -> tuple[Words, bool]:
    frame = len(_head(Words("", ""), language, content)) + _TAIL_ROOM
    return fit(words, limit - frame)


def _topic(content: AlertContent) -> str:
    """Return the collapse key in the form that both `Topic` and a screen's `tag` take."""
    return collapse_form(content.collapse_key, LONGEST_TOPIC, "-_")


def _head(words: Words, language: str, content: AlertContent) -> bytes:
    """Return what the service worker reads, up to the delivery's id."""
    image = image_of(content)
    payload = {
        "title": words.title,
        "body": words.body,
        "icon": content.icon_url,
        **({"image": image} if image else {}),
        "tag": _topic(content),
        "url": content.url,
        "lang": language,
        "dir": "rtl" if is_right_to_left(language) else "ltr",
        **({"silent": True} if content.silent else {}),
        "urgency": content.urgency.value,
        "alert_id": content.alert_id,
        "story_id": content.story_id,
        "delivery_id": "",
    }
    return json_bytes(payload).removesuffix(b'"}')
