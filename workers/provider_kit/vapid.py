"""VAPID (RFC 8292): the token by which a push service knows the sender, one for each service."""

import re
from datetime import datetime, timedelta
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AfterValidator

from workers.provider_kit.encoding import base64url
from workers.provider_kit.encryption import encode_point
from workers.provider_kit.endpoints import is_public_name
from workers.provider_kit.signing import sign_es256_token

TOKEN_PERIOD = timedelta(hours=6)
"""A token is renewed so long after its first use, and valid twice as long: push services refuse
more than a day, and Apple asks for at most one renewal an hour."""
MOST_TOKENS = 1024
"""Push services whose tokens are kept; readers may name any address below an allowed domain."""
TOKEN_STEP = timedelta(hours=1)
"""Tokens are dated in these steps: processes that start together and cannot share sign the same."""


_MAILTO = re.compile(r"mailto:[A-Za-z0-9!#$&'*+/=^_`{|}~.-]+@([^@]+)")
_PAGE = re.compile(r"https://([^/?#@:]+)(?::[0-9]{1,5})?(?:[/?#][!-~]*)?")


def _check_subject(value: str) -> str:
    """Accept what Apple accepts: one plain mail address, or a page, at a host that can exist."""
    match = _MAILTO.fullmatch(value) or _PAGE.fullmatch(value)
    if not match or not is_public_name(match[1].lower()):
        raise ValueError(
            "must be mailto:name@host or https://host with one real host, or Apple refuses it"
        )
    return value


Subject = Annotated[str, AfterValidator(_check_subject)]
"""A setting: the address at which a push service can reach a person."""


class VapidSigner:
    """Signs one token for each push service, in the period that starts at `start`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str, start: datetime) -> None:
        self._key = key
        self._public_key = base64url(encode_point(key.public_key()))
        self._subject = subject
        self._expiry = int((start + 2 * TOKEN_PERIOD).timestamp())
        self._by_origin: dict[str, str] = {}

    def authorization(self, origin: str) -> str:
        """Return the value of the Authorization header for the push service at `origin`."""
        value = self._by_origin.get(origin)
        if value is None:
            claims = {"aud": origin, "exp": self._expiry, "sub": self._subject}
            token = sign_es256_token(self._key, claims, {})
            if len(self._by_origin) >= MOST_TOKENS:
                self._by_origin.clear()
            value = self._by_origin[origin] = f"vapid t={token}, k={self._public_key}"
        return value
