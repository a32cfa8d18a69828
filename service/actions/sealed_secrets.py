"""Secrets of other systems at rest: AES-256-GCM under a key derived from ours by HKDF."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


def seal(our_key: str, secret: str, owner: str) -> bytes:
    """Return the secret sealed for its owner: elsewhere, or changed, it cannot be opened."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(our_key).encrypt(nonce, secret.encode(), owner.encode())


def unseal(our_key: str, sealed: bytes | None, owner: str) -> bytes:
    """Return the secret; empty when there is none, or when our key has been changed since."""
    if not sealed:
        return b""
    try:
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return _cipher(our_key).decrypt(nonce, text, owner.encode())
    except (InvalidTag, ValueError):
        return b""


def _cipher(our_key: str) -> AESGCM:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"newszop source secrets")
    return AESGCM(derivation.derive(our_key.encode()))
