"""Secrets of other systems at rest: AES-256-GCM under a key derived from ours by HKDF.

What is sealed names the key by an id, so our key can be changed: what an earlier key sealed is
opened as long as that key is in NEWSZOP_EARLIER_SECRET_KEYS.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_MARK = b"nz1."
"""What begins with it names its key; anything else was sealed before keys had ids."""
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class CannotOpen(Exception):
    """No key of ours opens what is sealed."""


@dataclass(frozen=True, slots=True)
class SealKeys:
    """Our secret key, which seals, and earlier ones, which only open."""

    current: str = field(repr=False)
    earlier: Sequence[str] = field(default=(), repr=False)


def seal(keys: SealKeys, secret: str, owner: str) -> bytes:
    """Return the secret sealed for its owner: elsewhere, or changed, it cannot be opened."""
    key, nonce = _derive_key(keys.current), os.urandom(_NONCE_BYTES)
    ciphertext = AESGCM(key).encrypt(nonce, secret.encode(), owner.encode())
    return _MARK + _key_id(key) + nonce + ciphertext


def unseal(keys: SealKeys, ciphertext: bytes | None, owner: str) -> bytes:
    """Return the secret; empty when there is none, or when no key of ours opens it."""
    if not ciphertext:
        return b""
    key_id, rest = b"", ciphertext
    if ciphertext.startswith(_MARK):
        rest = ciphertext[len(_MARK) :]
        key_id, rest = rest[:_KEY_ID_BYTES], rest[_KEY_ID_BYTES:]
    for key in map(_derive_key, (keys.current, *keys.earlier)):
        if key_id in (b"", _key_id(key)):
            try:
                return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], owner.encode())
            except (InvalidTag, ValueError):
                continue
    return b""


def is_current(keys: SealKeys, ciphertext: bytes) -> bool:
    """Whether the present key sealed it: if not, it is to be sealed again before that one goes."""
    return ciphertext.startswith(_MARK + _key_id(_derive_key(keys.current)))


def reseal(keys: SealKeys, ciphertext: bytes | None, owner: str) -> bytes | None:
    """Return what is sealed under the present key; the same when that sealed it, or without one.

    Raises `CannotOpen` when no key of ours opens it.
    """
    if ciphertext is None or is_current(keys, ciphertext):
        return ciphertext
    secret = unseal(keys, ciphertext, owner)
    if not secret:
        raise CannotOpen
    return seal(keys, secret.decode(), owner)


def _derive_key(our_key: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"newszop source secrets")
    return derivation.derive(our_key.encode())


def _key_id(key: bytes) -> bytes:
    digest = Hash(SHA256())
    digest.update(b"newszop key id" + key)
    return digest.finalize()[:_KEY_ID_BYTES]
