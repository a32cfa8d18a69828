"""Keys from files, and the tokens signed with them.

A token is the same in all processes for a whole period: the time in it is the period's start and
the signature is deterministic (RFC 6979). So a herd of restarting workers that cannot find each
other's tokens still shows a provider one token, and not one each.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm
from jwt.api_jws import PyJWS
from jwt.utils import der_to_raw_signature
from pydantic import AfterValidator

from service.domain.verdict import SenderRejected
from workers.provider import CredentialRefused

FINGERPRINT_CHARS = 16


class KeyFile:
    """A file that holds a key, read again when it changes."""

    def __init__(self, path: Path, setting: str) -> None:
        self.path = path
        self.setting = setting
        self._stamp: tuple[int, int, int] | None = None
        self._content = b""

    def read(self) -> bytes:
        """Return the content as it is now; raises `CredentialRefused` when it cannot be read."""
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._stamp:
                self._content, self._stamp = self.path.read_bytes(), stamp
        except OSError as error:
            raise self.refused(f"cannot be read ({error.strerror})") from None
        return self._content

    def fingerprint(self, *more: str) -> str:
        """Return a short name of this content together with `more`; it tells nothing of the key."""
        try:
            content = self.read()
        except CredentialRefused:
            content = b""
        digest = hashlib.sha256(b"\0".join([content, *(part.encode() for part in more)]))
        return digest.hexdigest()[:FINGERPRINT_CHARS]

    def refused(self, what: str) -> CredentialRefused:
        """Return the exception that names the setting behind the file and what is wrong with it."""
        return CredentialRefused(SenderRejected(f"The file named by {self.setting} {what}."))


def p256_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 private key in `pem`; raises ValueError when it holds none."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("holds no private key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("holds a key of another kind: a P-256 (ES256) private key is needed")  # noqa: TRY004
    return key


def _holds_p256_key(path: Path) -> Path:
    try:
        p256_key(path.read_bytes())
    except OSError as error:
        raise ValueError(f"names a file that cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"names a file that {error}") from None
    return path


P256KeyPath = Annotated[Path, AfterValidator(_holds_p256_key)]
"""A setting that names the file of a P-256 private key; refused when it holds none."""


class _SameEachTime(ECAlgorithm):
    """ES256 whose signature of the same text is always the same."""

    def sign(self, msg: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
        algorithm = ec.ECDSA(self.hash_alg(), deterministic_signing=True)
        return der_to_raw_signature(key.sign(msg, algorithm), key.curve)


_JWS = PyJWS(algorithms=[])
_JWS.register_algorithm("ES256", _SameEachTime(SHA256))


def es256_token(
    key: ec.EllipticCurvePrivateKey, claims: Mapping[str, Any], headers: Mapping[str, Any]
) -> str:
    """Return the claims as a signed JWT: the same text for the same claims."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return _JWS.encode(payload, key, algorithm="ES256", headers=dict(headers))


def period_start(now: datetime, period: timedelta) -> datetime:
    """Return when the period that `now` falls in began: the same for all processes."""
    seconds = int(period.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)
