"""How senders sign what they push, checked in constant time. Nothing passes without a secret.

`superdesk`: `x-superdesk-signature: sha1=HEX` of the body. `hub`: `X-Hub-Signature-256: sha256=HEX`
as GitHub writes it, or `X-Hub-Signature: METHOD=HEX` of WebSub (W3C, 7.1) with sha1 to sha512.
`ghost`: `X-Ghost-Signature: sha256=HEX, t=MS` of the body followed by the milliseconds. `newszop`:
`X-Newszop-Signature: t=SECONDS,sha256=HEX` of seconds, a dot and the body: for senders that can be
set up to sign so.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from service.formats.moments import moment_of_seconds

REPLAY_WINDOW = timedelta(minutes=5)
MAX_SIGNATURE = 512
_METHODS = {
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}


class SignatureScheme(StrEnum):
    """Who writes the signature."""

    SUPERDESK = "superdesk"
    HUB = "hub"
    GHOST = "ghost"
    NEWSZOP = "newszop"

    @property
    def is_timed(self) -> bool:
        """Whether the signature covers a time, so that it shows a replay.

        Without one only the content tells: the same version again is unchanged.
        """
        return self in (SignatureScheme.GHOST, SignatureScheme.NEWSZOP)


class SignatureCheck(StrEnum):
    """What a signature is worth. Only `sound` lets a delivery in."""

    SOUND = "sound"
    UNCONFIGURED = "unconfigured"
    UNSIGNED = "unsigned"
    FORGED = "forged"
    STALE = "stale"


def check_signature(
    scheme: SignatureScheme,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Iterable[bytes],
    now: datetime,
) -> SignatureCheck:
    """Say what the signature of a delivery is worth at `now`.

    Several secrets let one be replaced; empty ones do not count. `stale` is said only of a sound
    signature whose time is more than five minutes away.
    """
    usable = [secret for secret in secrets if secret]
    if not usable:
        return SignatureCheck.UNCONFIGURED
    lower = {name.lower(): value for name, value in headers.items()}
    signature = _signature(scheme, lower)
    if not signature:
        return SignatureCheck.UNSIGNED
    fields = _fields(signature)
    moment, signed = _signed(scheme, fields, body)
    matches = [_matches(fields, secret, signed, scheme) for secret in usable]
    if (scheme.is_timed and moment is None) or not any(matches):
        return SignatureCheck.FORGED
    if moment is not None and abs(now - moment) > REPLAY_WINDOW:
        return SignatureCheck.STALE
    return SignatureCheck.SOUND


def sign(scheme: SignatureScheme, body: bytes, secret: bytes, now: datetime) -> dict[str, str]:
    """Return the headers that a sender of this scheme would write: for tests and for our own."""
    seconds = int(now.astimezone(UTC).timestamp())
    if scheme is SignatureScheme.SUPERDESK:
        return {"x-superdesk-signature": f"sha1={_digest('sha1', secret, body)}"}
    if scheme is SignatureScheme.HUB:
        return {"X-Hub-Signature-256": f"sha256={_digest('sha256', secret, body)}"}
    if scheme is SignatureScheme.GHOST:
        stamp = str(seconds * 1000)
        digest = _digest("sha256", secret, body + stamp.encode())
        return {"X-Ghost-Signature": f"sha256={digest}, t={stamp}"}
    digest = _digest("sha256", secret, f"{seconds}.".encode() + body)
    return {"X-Newszop-Signature": f"t={seconds},sha256={digest}"}


def delivery_key(body: bytes) -> str:
    """Return what names a delivery: the SHA-256 of its body, in hex, to recognise a repetition."""
    return hashlib.sha256(body).hexdigest()


def _signature(scheme: SignatureScheme, headers: Mapping[str, str]) -> str:
    if scheme is SignatureScheme.HUB:
        signature = headers.get("x-hub-signature-256") or headers.get("x-hub-signature", "")
    else:
        signature = headers.get(f"x-{scheme}-signature", "")
    return signature if len(signature) <= MAX_SIGNATURE else ""


def _fields(signature: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in signature.split(","))
    return {name.lower(): value.strip() for name, equals, value in pairs if equals}


def _signed(
    scheme: SignatureScheme, fields: Mapping[str, str], body: bytes
) -> tuple[datetime | None, bytes]:
    """Return the time that the signature covers and the bytes it is made of."""
    stamp = fields.get("t", "")
    if not scheme.is_timed:
        return None, body
    if not (stamp.isascii() and stamp.isdigit()):
        return None, body
    moment = moment_of_seconds(int(stamp))
    if scheme is SignatureScheme.GHOST:
        return moment, body + stamp.encode()
    return moment, f"{stamp}.".encode() + body


def _matches(
    fields: Mapping[str, str], secret: bytes, signed: bytes, scheme: SignatureScheme
) -> bool:
    """Whether any digest in the signature is right; all are compared, in constant time."""
    if scheme is SignatureScheme.HUB:
        methods = tuple(_METHODS)
    else:
        methods = ("sha1",) if scheme is SignatureScheme.SUPERDESK else ("sha256",)
    checks = [
        hmac.compare_digest(
            _digest(method, secret, signed).encode(), fields[method].lower().encode()
        )
        for method in methods
        if method in fields
    ]
    return any(checks)


def _digest(method: str, secret: bytes, signed: bytes) -> str:
    return hmac.new(secret, signed, _METHODS[method]).hexdigest()
