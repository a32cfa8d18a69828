"""Web Push subscriptions that cost nothing to keep: each follows from a seed and a number.

An endpoint names a random number and proves with a keyed hash that it was made here; the device's
private key and its `auth` are derived from seed and number again whenever a push arrives. So a
restart on the same seed knows every subscription that was ever handed out.
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
    """Return the few bytes by which an endpoint remembers its application server's key."""
    return hashlib.blake2b(server_key, digest_size=KEY_BYTES).digest()


@dataclass(frozen=True)
class Subscription:
    """One device. `bound_to` is the fingerprint of the one key that may push to it, or UNBOUND."""

    number: bytes
    bound_to: bytes
    seed: bytes

    def _derive(self, purpose: bytes, size: int) -> bytes:
        # blake2b takes keys up to 64 bytes: the seed is hashed to fit
        key = hashlib.blake2b(self.seed, digest_size=32).digest()
        return hashlib.blake2b(purpose + self.number, key=key, digest_size=size).digest()

    @cached_property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The device's own key, which no push service would ever see."""
        scalar = int.from_bytes(self._derive(b"private", 40)) % (ORDER - 1) + 1
        return ec.derive_private_key(scalar, CURVE)

    @cached_property
    def public_point(self) -> bytes:
        """The key that a sender encrypts for: `p256dh`."""
        public = self.private_key.public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @cached_property
    def auth(self) -> bytes:
        """The 16 bytes that sender and device share."""
        return self._derive(b"auth", 16)

    @property
    def path(self) -> str:
        """Where pushes for this device are sent, below the service's origin."""
        named = self.number + self.bound_to
        return PATH + encode(named + self._proof(named))

    def _proof(self, named: bytes) -> bytes:
        return hashlib.blake2b(
            named, key=hashlib.blake2b(self.seed, digest_size=32).digest(), digest_size=PROOF_BYTES
        ).digest()


def subscribe(seed: bytes, server_key: bytes | None = None) -> Subscription:
    """Make a new subscription, bound to `server_key` if there is one."""
    bound_to = UNBOUND if server_key is None else fingerprint(server_key)
    return Subscription(secrets.token_bytes(NUMBER_BYTES), bound_to, seed)


def find(seed: bytes, path: str) -> Subscription | None:
    """Return the subscription at `path`, if it was made from this seed."""
    if not path.startswith(PATH):
        return None
    try:
        raw = decode(path.removeprefix(PATH))
    except ValueError:
        return None
    named = NUMBER_BYTES + KEY_BYTES
    found = Subscription(raw[:NUMBER_BYTES], raw[NUMBER_BYTES:named], seed)
    return found if found.path == path else None
