import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats.hooks.signatures import (
    REPLAY_WINDOW,
    SignatureCheck,
    SignatureScheme,
    check_signature,
    delivery_key,
    sign,
)

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
BODY = b'{"title": "x"}'
SECRET = b"secret"
SCHEMES = list(SignatureScheme)


def check(scheme, headers, body=BODY, secrets=(SECRET,), now=NOW):
    return check_signature(scheme, headers, body, secrets, now)


def digest(method, signed, secret=SECRET):
    return hmac.new(secret, signed, method).hexdigest()


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        (
            SignatureScheme.SUPERDESK,
            {"X-Superdesk-Signature": "sha1=" + digest(hashlib.sha1, BODY)},
        ),
        (SignatureScheme.HUB, {"x-hub-signature-256": "sha256=" + digest(hashlib.sha256, BODY)}),
        (SignatureScheme.HUB, {"X-Hub-Signature": "sha1=" + digest(hashlib.sha1, BODY)}),
        (SignatureScheme.HUB, {"X-Hub-Signature": "sha384=" + digest(hashlib.sha384, BODY)}),
        (
            SignatureScheme.HUB,
            {"X-Hub-Signature": "SHA512=" + digest(hashlib.sha512, BODY).upper()},
        ),
        (
            SignatureScheme.GHOST,
            {
                "X-Ghost-Signature": "sha256="
                + digest(hashlib.sha256, BODY + b"1795860000000")
                + ", t=1795860000000"
            },
        ),
        (
            SignatureScheme.NEWSZOP,
            {
                "X-Newszop-Signature": "t=1795860000,sha256="
                + digest(hashlib.sha256, b"1795860000." + BODY)
            },
        ),
    ],
)
def test_signatures_are_sound_as_their_senders_write_them(scheme, headers):
    assert check(scheme, headers) is SignatureCheck.SOUND


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_we_sign_is_sound_and_what_was_changed_is_forged(scheme):
    headers = sign(scheme, BODY, SECRET, NOW)
    assert check(scheme, headers) is SignatureCheck.SOUND
    assert check(scheme, headers, body=BODY + b" ") is SignatureCheck.FORGED
    assert check(scheme, headers, secrets=[b"other"]) is SignatureCheck.FORGED


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("secrets", [[], [b""]])
def test_nothing_passes_without_a_secret(scheme, secrets):
    headers = sign(scheme, BODY, b"", NOW)
    assert check(scheme, headers, secrets=secrets) is SignatureCheck.UNCONFIGURED


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_delivery_without_a_signature_is_unsigned(scheme):
    other = next(s for s in SCHEMES if s is not scheme)
    assert check(scheme, {}) is SignatureCheck.UNSIGNED
    assert check(scheme, sign(other, BODY, SECRET, NOW)) is SignatureCheck.UNSIGNED


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_old_secret_holds_beside_the_new_one(scheme):
    headers = sign(scheme, BODY, SECRET, NOW)
    assert check(scheme, headers, secrets=[b"new", SECRET]) is SignatureCheck.SOUND


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s.is_timed])
@pytest.mark.parametrize("sign_of_time", [1, -1])
def test_a_sound_signature_of_another_time_is_stale(scheme, sign_of_time):
    edge = NOW + REPLAY_WINDOW * sign_of_time
    assert check(scheme, sign(scheme, BODY, SECRET, edge)) is SignatureCheck.SOUND
    beyond = edge + timedelta(seconds=1) * sign_of_time
    assert check(scheme, sign(scheme, BODY, SECRET, beyond)) is SignatureCheck.STALE


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s.is_timed])
def test_the_time_of_a_signature_cannot_be_changed(scheme):
    (header,) = sign(scheme, BODY, SECRET, NOW - timedelta(days=1)).items()
    old = str(int((NOW - timedelta(days=1)).timestamp()))
    moved = {header[0]: header[1].replace(old, str(int(NOW.timestamp())))}
    assert moved[header[0]] != header[1]
    assert check(scheme, moved) is SignatureCheck.FORGED


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s.is_timed])
@pytest.mark.parametrize("stamp", ["", "x", "-1", "9" * 200, "\u0661"])
def test_a_signature_over_the_body_alone_is_no_timed_signature(scheme, stamp):
    signature = f"sha256={digest(hashlib.sha256, BODY)}, t={stamp}"
    assert check(scheme, {f"x-{scheme}-signature": signature}) is SignatureCheck.FORGED


@pytest.mark.parametrize("scheme", SCHEMES)
@given(text=st.text(max_size=100))
def test_no_text_is_a_signature(scheme, text):
    headers = {f"x-{scheme}-signature": text, "x-hub-signature-256": text}
    assert check(scheme, headers) in {SignatureCheck.FORGED, SignatureCheck.UNSIGNED}


def test_digests_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    headers = sign(SignatureScheme.HUB, BODY, SECRET, NOW)
    check(SignatureScheme.HUB, headers, secrets=[SECRET, b"other"])
    assert len(compared) == 2


def test_the_same_delivery_has_the_same_key():
    assert delivery_key(BODY) == delivery_key(bytes(BODY)) != delivery_key(BODY + b" ")
