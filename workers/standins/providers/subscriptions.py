"""Web Push subscriptions that need no storage: each follows from a seed and a number.

An endpoint contains a random number and a keyed hash, which shows that it was made here. The
device's private key and its `auth` are derived from seed and number whenever a push arrives. So
every subscription ever made is still known after a restart with the same seed.
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PATH = "/wpush/v2/"
NUMBER_BYTES, KEY_BYTES, PROOF_BYTES = 8, 6, 10
UNBOUND = bytes(KEY_BYTES)


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    """Read base64url with or without padding; raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fingerprint(server_key: bytes) -> bytes:
    """Return the few bytes of an application server's key that an endpoint contains."""
    return hashlib.blake2b(server_key, digest_size=KEY_BYTES).digest()


@dataclass(frozen=True)
class Subscription:
    """One device. `bound_to` is the fingerprint of the only key that may push to it, or UNBOUND."""

    number: bytes
    bound_to: bytes
    seed: bytes

    def _derive(self, purpose: bytes, size: int) -> bytes:
        # blake2b takes keys up to 64 bytes: the seed is hashed to fit
        key = hashlib.blake2b(self.seed, digest_size=32).digest()
        return hashlib.blake2b(purpose + self.number, key=key, digest_size=size).digest()

    @cached_property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The device's own key, which a real push service never sees."""
        scalar = int.from_bytes(self._derive(b"private", 40)) % (ORDER - 1) + 1
        return ec.derive_private_key(scalar, CURVE)

    @cached_property
    def public_point(self) -> bytes:
        """The key for which a sender encrypts: `p256dh`."""
        public = self.private_key.public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @cached_property
    def auth(self) -> bytes:
        """The 16 bytes that sender and device share (RFC 8291, section 3.2)."""
        return self._derive(b"auth", 16)

    @property
    def path(self) -> str:
        """The path of its endpoint below the service's origin."""
        content = self.number + self.bound_to
        return PATH + encode(content + self._proof(content))

    def _proof(self, content: bytes) -> bytes:
        return hashlib.blake2b(
            content,
            key=hashlib.blake2b(self.seed, digest_size=32).digest(),
            digest_size=PROOF_BYTES,
        ).digest()


def subscribe(seed: bytes, server_key: bytes | None = None) -> Subscription:
    """Make a new subscription, bound to `server_key` if there is one."""
    bound_to = UNBOUND if server_key is None else fingerprint(server_key)
    return Subscription(secrets.token_bytes(NUMBER_BYTES), bound_to, seed)


def find_subscription(seed: bytes, path: str) -> Subscription | None:
    """Return the subscription with this path, if it was made from this seed."""
    if not path.startswith(PATH):
        return None
    try:
        raw = decode(path.removeprefix(PATH))
    except ValueError:
        return None
    content = raw[: NUMBER_BYTES + KEY_BYTES]
    subscription = Subscription(content[:NUMBER_BYTES], content[NUMBER_BYTES:], seed)
    return subscription if subscription.path == path else None
