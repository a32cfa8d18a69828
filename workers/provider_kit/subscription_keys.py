"""The two keys of a browser's push subscription (Push API: `p256dh` and `auth`)."""

from service.domain.errors import Invalid
from workers.provider_kit.encoding import from_base64url
from workers.provider_kit.encryption import SECRET_BYTES, is_point

KEYS_FORM = (
    "The browser's keys are the 65 bytes of a P-256 point and 16 secret bytes, in base64url."
)


def parse_public_key(p256dh: str | None) -> bytes:
    """Return the browser's public key, an uncompressed point; raises `Invalid`."""
    key = _decode(p256dh, "keys.p256dh")
    if not is_point(key):
        raise Invalid("keys.p256dh", KEYS_FORM)
    return key


def parse_secret(auth: str | None) -> bytes:
    """Return the 16 bytes of the authentication secret; raises `Invalid`."""
    secret = _decode(auth, "keys.auth")
    if len(secret) != SECRET_BYTES:
        raise Invalid("keys.auth", KEYS_FORM)
    return secret


def _decode(value: str | None, field: str) -> bytes:
    try:
        return from_base64url(value or "")
    except ValueError:
        raise Invalid(field, KEYS_FORM) from None
