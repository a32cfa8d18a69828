"""A web app's keys: the newest, and those that browsers subscribed with before."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from service.domain.errors import Invalid
from workers.provider_kit.encoding import base64url
from workers.provider_kit.encryption import encode_point
from workers.provider_kit.setting_types import KeyText
from workers.provider_kit.signing import KeyFile, check_key_file, parse_p256_key
from workers.provider_kit.vapid import VapidSigner

KEY_ID_CHARS = 16


def check_key_files(files: tuple[Path | KeyText, ...]) -> tuple[Path | KeyText, ...]:
    """Return the files; raises ValueError where one holds no P-256 private key."""
    for file in files:
        check_key_file(parse_p256_key, file)
    return files


class VapidKeys:
    """The keys that browsers have subscribed with, the newest first."""

    def __init__(self, newest: Path | KeyText, earlier: Sequence[Path | KeyText]) -> None:
        setting = "WEBPUSH_VAPID_KEY_FILE"
        self._files = [KeyFile(newest, setting, parse_p256_key)]
        setting = "WEBPUSH_EARLIER_VAPID_KEY_FILES"
        self._files += [KeyFile(file, setting, parse_p256_key) for file in earlier]

    def load(self) -> None:
        """Read the files again; raises `CredentialRefused` if one holds no key by now."""
        for file in self._files:
            file.load()

    def public_keys(self) -> list[str]:
        """Return the public keys as browsers write them, base64url."""
        return [_public_key(file.latest()) for file in self._files]

    def find_id(self, public_key: str | None) -> str:
        """Return the id of a public key of ours, of the newest for None; raises `Invalid`."""
        public_keys = self.public_keys()
        if public_key is None:
            return _key_id(public_keys[0])
        if public_key.rstrip("=") not in public_keys:
            raise Invalid("keys.vapid_key", "It is no key of this app: subscribe again.")
        return _key_id(public_key.rstrip("="))

    def signers(self, subject: str, start: datetime) -> Mapping[str | None, VapidSigner]:
        """Return the keys' signers by key id; under None is the oldest key's."""
        keys = [file.latest() for file in self._files]
        signers: dict[str | None, VapidSigner] = {
            _key_id(_public_key(key)): VapidSigner(key, subject, start) for key in keys
        }
        return signers | {None: signers[_key_id(_public_key(keys[-1]))]}

    def fingerprint(self, subject: str) -> str:
        """Return a short hash of the keys and the subject; nobody can read a key from it."""
        newest, *earlier = self._files
        return newest.fingerprint(subject, *(file.fingerprint() for file in earlier))


def _public_key(key: ec.EllipticCurvePrivateKey) -> str:
    return base64url(encode_point(key.public_key()))


def _key_id(public_key: str) -> str:
    """Return what is kept beside a device: a hash is shorter than the key."""
    return base64url(sha256(public_key.encode()).digest())[:KEY_ID_CHARS]
