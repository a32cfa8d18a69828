"""One-time codes that change every half minute (RFC 6238, SHA-1, six digits)."""

import base64
import hashlib
import hmac
import struct
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

STEP = timedelta(seconds=30)
DIGITS = 6
SECRET_BYTES = 20
STEPS_TOLERATED = 1
"""Clocks differ: the codes before and after the present one are accepted too."""


def encode_secret(secret: bytes) -> str:
    """Return a secret as apps take it: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def code_at(secret: str, moment: datetime) -> str:
    """Return the code that an app shows at this moment."""
    return _code(secret, _step(moment))


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the number of the step whose code this is, None when it is not valid now.

    A caller that remembers the last accepted step can refuse a code that was used before.
    """
    digits = code.replace(" ", "")
    for step in range(_step(now) - STEPS_TOLERATED, _step(now) + STEPS_TOLERATED + 1):
        if hmac.compare_digest(_code(secret, step).encode(), digits.encode()):
            return step
    return None


def address(secret: str, account: str, issuer: str) -> str:
    """Return the otpauth URI with which an app imports the secret."""
    query = urlencode({"secret": secret, "issuer": issuer})
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{query}"


def _step(moment: datetime) -> int:
    return int(moment.timestamp() // STEP.total_seconds())


def _code(secret: str, step: int) -> str:
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)
