"""Keys from files, and the tokens signed with them.

A token is dated at the start of a short period, and its signature is deterministic (RFC 6979). So
when many workers restart and cannot find each other's tokens, they still sign the same one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

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
from workers.provider_kit.setting_types import KeyText, strip_text

FINGERPRINT_CHARS = 16


Key = TypeVar("Key")


class KeyFile(Generic[Key]):
    """A file that holds a key, read again when it changes; or the key's text, which never does.

    `parse` returns the key in the file's content, or raises ValueError that says what is wrong.
    """

    def __init__(self, path: Path | KeyText, setting: str, parse: Callable[[bytes], Key]) -> None:
        self._path = path
        self._setting = setting
        self._parse = parse
        self._stamp: tuple[int, int, int] | None = None
        self._content = b""
        self._key_content = self._read()
        self._key = parse(self._key_content)

    def load(self) -> Key:
        """Return the key that is in the file now; raises `CredentialRefused` if there is none."""
        content = self._read()
        if content is not self._key_content:
            try:
                self._key = self._parse(content)
            except ValueError as error:
                raise self._refusal(str(error)) from None
            self._key_content = content
        return self._key

    def latest(self) -> Key:
        """Return the key that is in the file now, or else the last good one."""
        try:
            return self.load()
        except CredentialRefused:
            return self._key

    def fingerprint(self, *more: str) -> str:
        """Return a short hash of the file's content and `more`; nobody can read the key from it."""
        try:
            content = self._read()
        except CredentialRefused:
            content = b""
        digest = hashlib.sha256(b"\0".join([content, *(part.encode() for part in more)]))
        return digest.hexdigest()[:FINGERPRINT_CHARS]

    def _read(self) -> bytes:
        if isinstance(self._path, KeyText):
            return self._path.content
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._stamp:
                self._content, self._stamp = self._path.read_bytes(), stamp
        except OSError as error:
            raise self._refusal(f"cannot be read ({error.strerror})") from None
        return self._content

    def _refusal(self, fault: str) -> CredentialRefused:
        return CredentialRefused(SenderRejected(f"The file named by {self._setting} {fault}."))


def parse_p256_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 private key in `pem`; raises ValueError if it holds none."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("holds no private key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("holds a key of another kind: a P-256 (ES256) private key is needed")  # noqa: TRY004
    return key


def check_key_file(parse: Callable[[bytes], object], path: Path | KeyText) -> Path | KeyText:
    """Return a setting whose content `parse` accepts; raises ValueError that says what is wrong."""
    if isinstance(path, KeyText):
        parse(path.content)
        return path
    try:
        parse(path.read_bytes())
    except OSError as error:
        raise ValueError(f"names a file that cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"names a file that {error}") from None
    return path


def key_file_validator(parse: Callable[[bytes], object]) -> AfterValidator:
    """Return the validator of a setting that names a file whose content `parse` accepts."""
    return AfterValidator(partial(check_key_file, parse))


P256KeyPath = Annotated[Path | KeyText, strip_text, key_file_validator(parse_p256_key)]
"""A setting that names the file of a P-256 private key, or holds its text."""


class _DeterministicES256(ECAlgorithm):
    """ES256 that signs the same text with the same signature each time (RFC 6979)."""

    def sign(self, msg: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
        algorithm = ec.ECDSA(self.hash_alg(), deterministic_signing=True)
        return der_to_raw_signature(key.sign(msg, algorithm), key.curve)


_JWS = PyJWS(algorithms=[])
_JWS.register_algorithm("ES256", _DeterministicES256(SHA256))


def sign_es256_token(
    key: ec.EllipticCurvePrivateKey, claims: Mapping[str, Any], headers: Mapping[str, Any]
) -> str:
    """Return the claims as a signed JWT: the same text for the same claims."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return _JWS.encode(payload, key, algorithm="ES256", headers=dict(headers))


def period_start(now: datetime, period: timedelta) -> datetime:
    """Return the start of the period that `now` falls in: the same in all processes."""
    seconds = int(period.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)
