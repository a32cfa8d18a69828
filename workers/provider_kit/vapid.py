"""VAPID (RFC 8292): how a push service knows who pushes, one token for each of them."""

from datetime import datetime, timedelta
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AfterValidator

from workers.provider_kit.encoding import base64url
from workers.provider_kit.encryption import point
from workers.provider_kit.signing import es256_token

TOKEN_PERIOD = timedelta(hours=6)
"""A token is renewed this often and valid twice as long: push services refuse more than a day, and
Apple asks for at most one renewal an hour."""


def _subject(value: str) -> str:
    scheme, _, rest = value.partition(":")
    host = rest.rpartition("@")[2] if scheme == "mailto" else rest.removeprefix("//")
    if scheme not in {"mailto", "https"} or "." not in host or host.endswith(".localhost"):
        raise ValueError("must be mailto: or https: with a real host, or Apple refuses it")
    return value


Subject = Annotated[str, AfterValidator(_subject)]
"""A setting that says where a push service reaches a person."""


class Signer:
    """Signs for each push service once, in the period that began at `since`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str, since: datetime) -> None:
        self._key = key
        self._public = base64url(point(key.public_key()))
        self._subject = subject
        self._expires = int((since + 2 * TOKEN_PERIOD).timestamp())

    def authorization(self, origin: str) -> str:
        """Return the header's value for the push service at `origin`."""
        claims = {"aud": origin, "exp": self._expires, "sub": self._subject}
        return f"vapid t={es256_token(self._key, claims, {})}, k={self._public}"
