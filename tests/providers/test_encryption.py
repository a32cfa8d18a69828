"""Encryption for browsers, held to RFC 8291 and to a second implementation."""

import base64
import os

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.credentials import a_p256_key
from workers.provider_kit.encryption import CURVE, OVERHEAD, encode_point, encrypt, is_point


def b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(b64(text)), CURVE)


# RFC 8291, section 5 and appendix A
PLAINTEXT = b"When I grow up, I want to be a watermelon"
SENDER = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
RECEIVER = private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
POINT = encode_point(RECEIVER.public_key())
SECRET = b64("BTBZMqHH6r4Tts7J_aSIgg")
SALT = b64("DGv6ra1nlYgDCS1FRnbzlw")
BODY = b64(
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_vector_of_rfc_8291_comes_out_byte_for_byte():
    receiver = POINT
    assert encrypt(PLAINTEXT, receiver, SECRET, key=SENDER, salt=SALT) == BODY


def test_the_vector_is_what_http_ece_decrypts():
    plain = http_ece.decrypt(BODY, private_key=RECEIVER, auth_secret=SECRET, version="aes128gcm")
    assert plain == PLAINTEXT


@given(st.binary(max_size=3993))
def test_http_ece_decrypts_whatever_we_encrypt(plaintext):
    body = encrypt(plaintext, POINT, SECRET)
    assert len(body) == len(plaintext) + OVERHEAD
    assert plaintext == http_ece.decrypt(
        body, private_key=RECEIVER, auth_secret=SECRET, version="aes128gcm"
    )


def test_the_longest_plaintext_makes_a_body_of_exactly_4096_bytes():
    assert len(encrypt(b"x" * 3993, POINT, SECRET)) == 4096


def test_salt_and_key_are_new_for_each_push():
    receiver = POINT
    bodies = {encrypt(b"x", receiver, SECRET)[:86] for _ in range(20)}
    assert len({body[:16] for body in bodies}) == 20
    assert len({body[21:86] for body in bodies}) == 20


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x04" + bytes(64),
        b"\x04" + b"\xff" * 64,
        b"\x02" + POINT[1:33],
        POINT[:64],
        POINT + b"\0",
        b"\x06" + POINT[1:],
        POINT[:-1] + bytes([POINT[-1] ^ 1]),
    ],
)
def test_what_is_no_uncompressed_point_of_the_curve_is_known(data):
    assert not is_point(data)


def test_a_point_is_known():
    assert is_point(encode_point(a_p256_key().public_key()))
    assert not is_point(os.urandom(65))
