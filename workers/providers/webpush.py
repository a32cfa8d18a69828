"""Web Push: one endpoint a request, encrypted for the browser, signed for its push service.

RFC 8030 is the request, RFC 8291 the encryption, RFC 8292 (VAPID) the signature.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from service.domain.device import ENDPOINT, Registration
from service.domain.errors import AddressGone, Invalid
from service.domain.network import origin_of
from service.domain.subscription import Urgency
from service.domain.verdict import DeviceGone, DeviceRefused, Verdict
from workers.provider import (
    AlertContent,
    Answer,
    Credential,
    Position,
    Preview,
    Request,
    Target,
)
from workers.provider_kit import presentation
from workers.provider_kit.browser_payload import browser_payload, push_topic
from workers.provider_kit.encoding import base64url, from_base64url
from workers.provider_kit.encryption import OVERHEAD, encrypt
from workers.provider_kit.endpoints import (
    KNOWN_PUSH_SERVICES,
    REMOVED_HOST,
    AllowedHosts,
    AllowList,
    EndpointRefused,
)
from workers.provider_kit.push_service_answers import read_push_service_answer
from workers.provider_kit.setting_types import (
    KeyText,
    ProviderSettings,
    settings_config,
    split_list,
)
from workers.provider_kit.signing import P256KeyPath, period_start
from workers.provider_kit.subscription_keys import KEYS_FORM, parse_public_key, parse_secret
from workers.provider_kit.vapid import (
    TOKEN_PERIOD,
    TOKEN_STEP,
    Subject,
    VapidSigner,
)
from workers.provider_kit.vapid_keys import VapidKeys, check_key_files

LIMIT = 4096 - OVERHEAD
BRIDGED_LIMIT = 2744 - OVERHEAD
"""Mozilla's limit for Firefox on Android, which it reaches through Google."""
BRIDGED_HOSTS = ".mozilla.com"


class Settings(ProviderSettings):
    """The settings for reaching browsers."""

    model_config = settings_config("WEBPUSH_")
    key_texts: ClassVar[Mapping[str, str]] = {"vapid_keys": "vapid_key_file"}
    secrets = frozenset({"vapid_keys"})
    app_hints: ClassVar[Mapping[str, str]] = {
        "vapid_keys": "A P-256 private key (PEM), as this command makes one: "
        "openssl ecparam -name prime256v1 -genkey -noout. With several, the newest comes first."
    }
    key_lists = frozenset({"vapid_keys"})

    vapid_key_file: P256KeyPath = Field(
        description="The P-256 private key (PEM) that browsers know us by. Before you change it, "
        "name the old one's file in WEBPUSH_EARLIER_VAPID_KEY_FILES."
    )
    earlier_vapid_key_files: Annotated[
        tuple[Path | KeyText, ...],
        NoDecode,
        BeforeValidator(split_list),
        AfterValidator(check_key_files),
    ] = Field(
        (),
        description="Files of earlier keys, the newest first, comma-separated: browsers that "
        "subscribed with one are pushed to with it.",
    )
    subject: Subject = Field(
        description="Where push services reach a person: mailto:... or https://..., a real one."
    )
    allowed_hosts: AllowedHosts = Field(
        KNOWN_PUSH_SERVICES,
        description="Hosts of push services, comma-separated: host, host:port (taken as it "
        "stands), *.suffix, or * for any public one.",
    )

    @classmethod
    def read_app(
        cls, values: Mapping[str, Any], inherited: ProviderSettings | None
    ) -> dict[str, Any]:
        """Return an app's values; `vapid_keys` is a list, the newest first.

        The keys of the environment, if they are inherited, come after the app's own.
        """
        keys = values.get("vapid_keys", [])
        keys = [keys] if isinstance(keys, str) else keys
        texts: list[Path | KeyText] = [KeyText(str(key).encode()) for key in keys]
        others = {name: value for name, value in values.items() if name != "vapid_keys"}
        result = super().read_app(others, inherited)
        if texts:
            if isinstance(inherited, cls):
                texts += [inherited.vapid_key_file, *inherited.earlier_vapid_key_files]
            result["vapid_key_file"], *earlier = texts
            result["earlier_vapid_key_files"] = tuple(earlier)
        return result


class Provider:
    """Builds requests for push services and reads their answers."""

    name = "webpush"
    window = 900
    per_minute: int | None = None
    ramp_seconds = 0
    remint_after = TOKEN_STEP

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._keys = VapidKeys(settings.vapid_key_file, settings.earlier_vapid_key_files)
        self._allow_list = AllowList.parse(settings.allowed_hosts)
        self.guard = self._allow_list.has_pair

    def is_known_server(self, url: str) -> bool:
        """Whether the allow-list names the endpoint's server; `*` names none."""
        return self._allow_list.is_known_server(url)

    @property
    def known_servers(self) -> str | None:
        """Return the pattern of endpoints at named servers; None without the entry `*`."""
        return self._allow_list.pattern() if self._allow_list.any_host else None

    @property
    def public_key(self) -> str:
        """Our public VAPID key for browsers: `applicationServerKey`, in base64url."""
        return self._keys.public_keys()[0]

    def check(self, registration: Registration) -> Registration:
        """Accept an endpoint on the allow-list with keys that a push can be encrypted for.

        Its `vapid_key`, the public key that the browser subscribed with, comes back as the key's
        id; left out, it is the newest. Raises `AddressGone` for the address that Chrome gives a
        subscription it has removed.
        """
        if REMOVED_HOST in registration.address:
            raise AddressGone
        try:
            endpoint = self._allow_list.check_endpoint(registration.address.strip())
        except EndpointRefused as error:
            raise Invalid("address", str(error)) from None
        key = parse_public_key(registration.p256dh)
        if base64url(key) in self._keys.public_keys():
            raise Invalid("keys.p256dh", KEYS_FORM)
        secret = parse_secret(registration.auth)
        return replace(
            registration,
            address=endpoint,
            kind=ENDPOINT,
            p256dh=base64url(key),
            auth=base64url(secret),
            vapid_key=self._keys.find_id(registration.vapid_key),
        )

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Return the period for which tokens are signed; each push service gets its own token."""
        yield from ()
        self._keys.load()
        start = period_start(now, TOKEN_STEP)
        return Credential(self.public_key, minted_at=start, fresh_until=now + TOKEN_PERIOD)

    def credential_key(self) -> str:
        """Return a name that changes with the key and the subject."""
        return f"webpush:{self._keys.fingerprint(self.settings.subject)}"

    def pushes(self, content: AlertContent, credential: Credential) -> "WebPushes":
        """Prepare the alert: the plaintext's head is encoded once per language."""
        signers = self._keys.signers(self.settings.subject, credential.minted_at)
        return WebPushes(content, signers)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the answer for one device."""
        return [read_push_service_answer(answer)] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> None:
        """Return None: no push service serves every subscription."""
        del credential, now

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the plaintext's size."""
        return browser_payload(content, LIMIT).preview(locale)


_URGENCIES = {Urgency.BREAKING: "high", Urgency.NORMAL: "normal", Urgency.QUIET: "low"}


class WebPushes:
    """One alert for browsers. All endpoints of one origin and one of our keys share headers.

    `signers` are by the key's id; under None is the oldest key's.
    """

    def __init__(self, content: AlertContent, signers: Mapping[str | None, VapidSigner]) -> None:
        self._content = content
        self._signers = signers
        self._heads = browser_payload(content, LIMIT).heads()
        self._bridged_heads = browser_payload(content, BRIDGED_LIMIT).heads()

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one encrypted request for each target; the TTL is what is left at `now`."""
        shared: dict[tuple[str, str | None], Sequence[str]] = {}
        ttl = presentation.seconds_left(self._content, now)
        for target in targets:
            origin = origin_of(target.address)
            if origin.endswith(REMOVED_HOST):
                yield target.position, DeviceGone("its browser has removed the subscription")
                continue
            headers = shared.get((origin, target.vapid_key))
            if headers is None:
                headers = self._headers(origin, target.vapid_key, ttl)
                shared[origin, target.vapid_key] = headers
            body = self._encrypt(target, origin)
            if body is None:
                yield target.position, DeviceRefused("it has no keys to encrypt for")
            else:
                yield Request(target.address, headers, body, (target.position,))

    def _encrypt(self, target: Target, origin: str) -> bytes | None:
        heads = self._bridged_heads if origin.endswith(BRIDGED_HOSTS) else self._heads
        ids = f'{target.delivery_id}","receipt":"{target.receipt}"}}'
        try:
            key = from_base64url(target.p256dh or "")
            secret = from_base64url(target.auth or "")
            return encrypt(heads[target.locale] + ids.encode(), key, secret)
        except ValueError:
            return None

    def _headers(self, origin: str, vapid_key: str | None, ttl: int) -> Sequence[str]:
        content = self._content
        signer = self._signers.get(vapid_key) or self._signers[None]
        urgency = "low" if content.silent else _URGENCIES[content.urgency]
        return (
            f"authorization: {signer.authorization(origin)}",
            "content-encoding: aes128gcm",
            "content-type: application/octet-stream",
            f"ttl: {ttl}",
            f"urgency: {urgency}",
            f"topic: {push_topic(content)}",
        )
