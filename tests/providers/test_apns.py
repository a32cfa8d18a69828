"""Requests in Apple's form."""

import json
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
from tests.credentials import KEY_ID, TEAM_ID, TOPIC, a_p256_key, pem
from tests.providers.examples import NOW, a_target, alert_content, headers_of, run, the_request
from workers.provider import CredentialRefused, LimitsMints
from workers.providers import apns as module


def aps(provider, **given):
    request = the_request(provider, alert_content(**given), a_target("apns"))
    return headers_of(request), json.loads(request.body)["aps"]


@pytest.mark.parametrize(
    ("urgency", "priority", "level", "sound"),
    [
        (Urgency.BREAKING, "10", "time-sensitive", "default"),
        (Urgency.NORMAL, "10", "active", "default"),
        (Urgency.QUIET, "5", "passive", None),
    ],
)
def test_urgency_becomes_priority_and_interruption_level(apns, urgency, priority, level, sound):
    headers, payload = aps(apns, urgency=urgency)
    assert headers["apns-priority"] == priority
    assert payload["interruption-level"] == level
    assert payload.get("sound") == sound


def test_a_withdrawal_makes_no_sound(apns):
    headers, payload = aps(apns, urgency=Urgency.BREAKING, silent=True)
    assert headers["apns-priority"] == "5"
    assert payload["interruption-level"] == "passive"
    assert "sound" not in payload


def test_the_headers_are_those_that_apple_asks_for(apns):
    headers, payload = aps(apns)
    del headers["authorization"]
    assert headers == {
        "apns-topic": TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": str(int((NOW + timedelta(hours=4)).timestamp())),
        "apns-collapse-id": "story-9223372036854775807",
        "apns-id": "7f0f2b52-0f33-5c0e-9d0b-000000000000",
    }
    assert payload["thread-id"] == "story-9223372036854775807"
    assert "badge" not in payload


def test_an_image_lets_the_app_change_the_push_first(apns):
    assert aps(apns, image_url="https://news.example/i.jpg")[1]["mutable-content"] == 1
    assert "mutable-content" not in aps(apns)[1]


def test_a_long_collapse_key_is_hashed_the_same_each_time(apns):
    one = aps(apns, collapse_key="k" * 65)[0]["apns-collapse-id"]
    assert len(one) <= 64
    assert one == aps(apns, collapse_key="k" * 65)[0]["apns-collapse-id"]
    assert one != aps(apns, collapse_key="k" * 66)[0]["apns-collapse-id"]
    assert aps(apns, collapse_key="é\r\nx: y")[0]["apns-collapse-id"].isalnum


def test_the_token_is_signed_for_fifty_minutes_from_now(apns, configured):
    for late in range(60):
        now = NOW + timedelta(minutes=late)
        token = run(apns.credential(now))
        claims = jwt.decode(token.value, options={"verify_signature": False})
        age = now.timestamp() - claims["iat"]
        assert token.fresh_until == now + timedelta(minutes=50)
        assert claims["iss"] == TEAM_ID
        assert jwt.get_unverified_header(token.value)["kid"] == KEY_ID
        assert age >= 60  # our clock may be ahead of Apple's
        assert age + 50 * 60 < 60 * 60  # Apple refuses tokens older than an hour


def test_processes_that_start_together_sign_the_same_token_though_they_cannot_share(apns):
    first, second = run(apns.credential(NOW)), run(apns.credential(NOW + timedelta(seconds=20)))
    assert first.value == second.value


def test_apple_is_not_sent_a_new_token_within_twenty_minutes(apns):
    assert isinstance(apns, LimitsMints)
    assert apns.remint_after == timedelta(minutes=20)


@pytest.fixture
def own(tmp_path):
    """A provider whose key file this test may change."""
    file = tmp_path / "key.p8"
    file.write_bytes(pem(a_p256_key()))
    settings = module.Settings(key_file=file, key_id=KEY_ID, team_id=TEAM_ID, topic=TOPIC)
    return module.Provider(settings), file


def test_a_changed_key_file_is_picked_up(own):
    provider, file = own
    name, token = provider.credential_key(), run(provider.credential(NOW)).value
    key = a_p256_key()
    file.write_bytes(pem(key))
    assert provider.credential_key() != name
    changed = run(provider.credential(NOW)).value
    assert changed != token
    jwt.decode(changed, key.public_key(), algorithms=["ES256"], options={"verify_iat": False})


@pytest.mark.parametrize("content", [b"", b"not a key", pem(a_p256_key())[:60]])
def test_a_key_file_that_turns_bad_holds_the_provider_and_names_the_setting(own, content):
    provider, file = own
    name = provider.credential_key()
    file.write_bytes(content)
    assert provider.credential_key() != name
    with pytest.raises(CredentialRefused) as refused:
        run(provider.credential(NOW))
    assert "APNS_KEY_FILE" in refused.value.verdict.why


def test_a_key_file_that_is_gone_holds_the_provider_and_one_that_comes_back_frees_it(own):
    provider, file = own
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(CredentialRefused, match="cannot be read"):
        run(provider.credential(NOW))
    file.write_bytes(content)
    assert run(provider.credential(NOW)).value


def test_nothing_of_the_key_shows_in_its_name_or_in_a_refusal(own):
    provider, file = own
    secret = file.read_text().splitlines()[1]
    assert secret not in provider.credential_key()
    assert secret not in repr(provider.settings)


def test_an_address_is_kept_in_lower_case(apns):
    given = Registration(provider="apns", address=" " + "AB" * 32 + "\n", kind="odd")
    assert apns.check(given) == replace(given, address="ab" * 32, kind="token")


@pytest.mark.parametrize("address", ["", "ab" * 31, "ab" * 101, "zz" * 32, "a" * 65, "é" * 64])
def test_what_is_no_device_token_is_refused(apns, address):
    with pytest.raises(Invalid) as refused:
        apns.check(Registration(provider="apns", address=address))
    assert refused.value.field == "address"


def test_the_probe_alerts_nobody(apns):
    probe = apns.probe(run(apns.credential(NOW)), NOW)
    assert probe.url.endswith("/3/device/00")
    assert "alert" not in json.loads(probe.body)["aps"]
