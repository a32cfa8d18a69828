"""A receipt: the signed token in a push by which its device says that it was shown or opened.

The token is a delivery's place (alert, shard, batch, position) and a keyed digest of it, 35
characters. Every push carries one, so signing must be cheap.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from service.domain.errors import Forbidden

if TYPE_CHECKING:
    from hashlib import blake2b

_PLACE = struct.Struct(">QIHH")
_DIGEST_BYTES = 10
_LENGTH = (_PLACE.size + _DIGEST_BYTES) * 8 // 6 + 1
_PURPOSE = b"push receipt"

UNCOUNTED = 0x8000
"""Added to the position in receipts of readers who do not share what they open.

No batch has such a position. So their receipts are signed and taken like any other, and counted
nowhere, and taking one asks nothing about its reader.
"""


@lru_cache(maxsize=8)
def _signer(secret: bytes) -> "blake2b":
    key = hashlib.blake2b(secret, person=_PURPOSE, digest_size=64).digest()
    return hashlib.blake2b(key=key, person=_PURPOSE, digest_size=_DIGEST_BYTES)


def sign(
    secret: bytes, alert_id: int, shard_n: int, n: int, position: int, *, counts: bool = True
) -> str:
    """Return the token of the delivery at this place; `counts`: whether it is counted."""
    if not counts:
        position |= UNCOUNTED
    place = _PLACE.pack(alert_id, shard_n, n, position)
    signer = _signer(secret).copy()
    signer.update(place)
    return base64.urlsafe_b64encode(place + signer.digest())[:_LENGTH].decode()


def read(secrets: Sequence[bytes], token: str) -> tuple[int, int, int, int]:
    """Return (alert id, shard, batch, position) of a token that we signed, or raise `Forbidden`.

    Any of the secrets may have signed it: a push is opened days after the secret has changed.
    """
    try:
        raw = base64.b64decode((token + "=").encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _forged() from None
    place = raw[: _PLACE.size]
    canonical = base64.urlsafe_b64encode(raw)[:_LENGTH].decode() == token
    if not canonical or not any(_is_signature(raw, place, secret) for secret in secrets):
        raise _forged()
    alert_id, shard_n, n, position = _PLACE.unpack(place)
    return alert_id, shard_n, n, position


def _is_signature(raw: bytes, place: bytes, secret: bytes) -> bool:
    signer = _signer(secret).copy()
    signer.update(place)
    return hmac.compare_digest(raw[_PLACE.size :], signer.digest())


def _forged() -> Forbidden:
    return Forbidden("This receipt is not one of ours.")
