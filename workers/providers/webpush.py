"""Web Push: one endpoint a request, encrypted for the browser, signed for its push service.

RFC 8030 (the request), RFC 8291 (the encryption), RFC 8292 (VAPID: who we are).
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

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
    TryLater,
    Verdict,
)
from workers.encryption import OVERHEAD, SECRET_BYTES, encrypt, is_point, point
from workers.endpoints import KNOWN_PUSH_SERVICES, Allowed, EndpointRefused, origin_of
from workers.forms import (
    base64url,
    collapse_form,
    from_base64url,
    image_of,
    json_bytes,
    seconds_left,
)
from workers.provider import (
    DELIVERY_ID_ROOM,
    RECEIPT_ROOM,
    Answer,
    Credential,
    Message,
    Position,
    Preview,
    Request,
    Target,
)
from workers.reading import is_success, parse_object, read_failure, read_status, retry_after
from workers.signing import KeyFile, P256KeyPath, es256_token, p256_key, period_start
from workers.wording import ByLocale, choose, fit, right_to_left, words_in

LIMIT = 4096 - OVERHEAD
BRIDGED_LIMIT = 2744 - OVERHEAD
"""What Mozilla takes for Firefox on Android, which it reaches through Google."""
BRIDGED = ".mozilla.com"
LONGEST_TOPIC = 32
TOKEN_PERIOD = timedelta(hours=6)
"""A token is renewed this often and valid twice as long: push services refuse more than a day, and
Apple asks for at most one renewal an hour."""
_KEYS = "The browser's keys are the 65 bytes of a P-256 point and 16 secret bytes, in base64url."


class Settings(BaseSettings):
    """What reaching browsers takes."""

    model_config = SettingsConfigDict(
        env_prefix="WEBPUSH_", env_file=".env", extra="ignore", frozen=True
    )

    vapid_key_file: P256KeyPath = Field(
        description="The P-256 private key (PEM) that browsers know us by; a new one loses them."
    )
    subject: str = Field(
        description="Where push services reach a person: mailto:... or https://..., a real one."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        KNOWN_PUSH_SERVICES,
        description="Hosts of push services, comma-separated: host, host:port (taken as it "
        "stands), *.suffix, or * for any public one.",
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Allowed.parse(value)
        return value

    @field_validator("subject")
    @classmethod
    def _check_subject(cls, value: str) -> str:
        scheme, _, rest = value.partition(":")
        host = rest.rpartition("@")[2] if scheme == "mailto" else rest.removeprefix("//")
        if scheme not in {"mailto", "https"} or "." not in host or host.endswith(".localhost"):
            raise ValueError("must be mailto: or https: with a real host, or Apple refuses it")
        return value


_KEY_REFUSED = DeviceGone("its push service refuses our VAPID key for it", doubtful=True)
_MALFORMED = AlertRejected("A push service finds our request malformed: a fault of this program")

STATUSES: Mapping[int, Verdict] = {
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

ERRNOS: Mapping[tuple[int, int], Verdict] = {
    (400, 101): _MALFORMED,
    (400, 110): _MALFORMED,
    (400, 111): _MALFORMED,
    (400, 112): _MALFORMED,
    (400, 113): _MALFORMED,
    (503, 202): TryLater("", after=timedelta(0)),
}
"""What Mozilla's own numbers add to the status."""
