"""http_ece as the other side of Web Push encryption: it reads what we encrypt, and what it
encrypts the stand-in's browsers read.
"""

import os
import random

import http_ece
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from workers.provider_kit.encryption import CURVE, encode_point, encrypt
from workers.standins.providers.exchange import Refusal
from workers.standins.providers.subscriptions import UNBOUND, Subscription
from workers.standins.providers.webpush import decrypt

pytestmark = pytest.mark.foreign

LONGEST = 3_993
SIZES = [0, 1, 15, 16, 17, 255, 256, 4_000 - 86, LONGEST - 1, LONGEST]
RANDOM = random.Random(8291)
TEXTS = [RANDOM.randbytes(size) for size in SIZES] + [
    RANDOM.randbytes(RANDOM.randrange(LONGEST)) for _ in range(144)
]


@pytest.fixture(scope="module")
def subscription() -> Subscription:
    return Subscription(b"\0" * 8, UNBOUND, os.urandom(32))


def test_http_ece_reads_what_we_encrypt() -> None:
    for plain in TEXTS:
        browser, secret = ec.generate_private_key(CURVE), os.urandom(16)
        body = encrypt(plain, encode_point(browser.public_key()), secret)
        assert plain == http_ece.decrypt(
            body, private_key=browser, auth_secret=secret, version="aes128gcm"
        )


def test_what_http_ece_encrypts_the_browsers_of_the_stand_in_read(
    subscription: Subscription,
) -> None:
    for plain in filter(None, TEXTS):  # of nothing it writes the header only, without a record
        body = http_ece.encrypt(
            plain,
            salt=os.urandom(16),
            private_key=ec.generate_private_key(CURVE),
            dh=subscription.public_point,
            auth_secret=subscription.auth,
            version="aes128gcm",
        )
        assert decrypt(body, subscription) == plain


@pytest.mark.parametrize("place", [0, 20, 40, 90, -1])
def test_a_changed_byte_is_refused_by_both(subscription: Subscription, place: int) -> None:
    body = bytearray(encrypt(b"It rains.", subscription.public_point, subscription.auth))
    body[place] ^= 1

    with pytest.raises(Refusal):
        decrypt(bytes(body), subscription)
    with pytest.raises((http_ece.ECEException, InvalidTag, ValueError)):
        http_ece.decrypt(
            bytes(body),
            private_key=subscription.private_key,
            auth_secret=subscription.auth,
            version="aes128gcm",
        )
