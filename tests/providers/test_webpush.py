"""Requests for push services: headers, signature, and who may be registered."""

import base64
import json
from datetime import timedelta

import http_ece
import jwt
import pytest

from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
from service.domain.verdict import DeviceGone, DeviceRefused
from tests.credentials import a_p256_key, pem
from tests.providers.examples import (
    BROWSER_KEY,
    BROWSER_SECRET,
    NOW,
    a_target,
    alert_content,
    an_answer,
    b64,
    headers_of,
    requests,
    run,
    the_request,
)
from workers.provider_kit import vapid
from workers.provider_kit.encoding import from_base64url
from workers.provider_kit.encryption import encode_point
from workers.providers import webpush as module

MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/gAAA"
GOOGLE = "https://fcm.googleapis.com/fcm/send/dXBkYXRl"


def read(request) -> dict:
    plain = http_ece.decrypt(
        request.body, private_key=BROWSER_KEY, auth_secret=BROWSER_SECRET, version="aes128gcm"
    )
    return json.loads(plain)


def claims_of(request) -> dict:
    token = headers_of(request)["authorization"].removeprefix("vapid t=").split(", k=")[0]
    return jwt.decode(token, options={"verify_signature": False})


def test_the_service_worker_gets_all_that_it_draws(webpush):
    content = alert_content(image_url="https://news.example/i.jpg")
    target = a_target("webpush")
    shown = {"title": "Rain at last", "body": "It rains everywhere.", "lang": "en", "dir": "ltr"}
    declared = shown | {
        "navigate": "https://news.example/stories/rain-at-last",
        "tag": "story-9223372036854775807",
    }
    assert read(the_request(webpush, content, target)) == {
        "web_push": 8030,
        "mutable": True,
        "notification": declared,
        "title": "Rain at last",
        "body": "It rains everywhere.",
        "icon": "https://news.example/static/icon-192.png",
        "image": "https://news.example/i.jpg",
        "tag": "story-9223372036854775807",
        "url": "https://news.example/stories/rain-at-last",
        "lang": "en",
        "dir": "ltr",
        "urgency": "normal",
        "alert_id": content.alert_id,
        "story_id": content.story_id,
        "delivery_id": target.delivery_id,
        "receipt": target.receipt,
    }


def test_words_that_fill_the_push_leave_the_declarative_form_out(webpush):
    found = read(the_request(webpush, alert_content(body="x" * 2500), a_target("webpush")))
    assert "web_push" not in found
    assert len(found["body"]) == 2500


def test_right_to_left_words_say_so(webpush):
    found = read(
        the_request(webpush, alert_content(language="ur", title="بارش"), a_target("webpush"))
    )
    assert (found["lang"], found["dir"]) == ("ur", "rtl")


def test_a_withdrawal_is_silent(webpush):
    content = alert_content(silent=True, urgency=Urgency.BREAKING)
    request = the_request(webpush, content, a_target("webpush"))
    assert read(request)["silent"] is True
    assert headers_of(request)["urgency"] == "low"


@pytest.mark.parametrize(
    ("urgency", "word"),
    [(Urgency.BREAKING, "high"), (Urgency.NORMAL, "normal"), (Urgency.QUIET, "low")],
)
def test_urgency_keeps_its_name(webpush, urgency, word):
    request = the_request(webpush, alert_content(urgency=urgency), a_target("webpush"))
    assert headers_of(request)["urgency"] == word


@pytest.mark.parametrize("key", ["story-9223372036854775807", "k" * 33, "a key!", "é", "story/7"])
def test_topic_and_tag_are_the_same_and_fit_the_header(webpush, key):
    request = the_request(webpush, alert_content(collapse_key=key), a_target("webpush"))
    topic = headers_of(request)["topic"]
    assert read(request)["tag"] == topic
    assert 0 < len(topic) <= 32
    assert topic.replace("-", "").replace("_", "").isalnum()


def test_each_push_service_gets_a_token_of_its_own_for_at_most_a_day(webpush):
    targets = [a_target("webpush", n, address=place) for n, place in enumerate([GOOGLE, MOZILLA])]
    google, mozilla = (
        claims_of(request) for request in requests(webpush, alert_content(), *targets)
    )
    assert google["aud"] == "https://fcm.googleapis.com"
    assert mozilla["aud"] == "https://updates.push.services.mozilla.com"
    for claims in (google, mozilla):
        assert claims["sub"] == "mailto:push@news.example"
        left = claims["exp"] - NOW.timestamp()
        assert 6 * 3600 <= left <= 12 * 3600


def test_the_tokens_of_many_push_services_are_not_all_kept(monkeypatch):
    monkeypatch.setattr(vapid, "MOST_TOKENS", 3)
    signer = vapid.VapidSigner(a_p256_key(), "mailto:push@news.example", NOW)
    for n in range(8):
        signer.authorization(f"https://{n}.push.example")
        assert len(signer._by_origin) <= vapid.MOST_TOKENS


def test_a_port_belongs_to_the_audience(webpush):
    request = the_request(
        webpush, alert_content(), a_target("webpush", address="https://localhost:8443/x")
    )
    assert claims_of(request)["aud"] == "https://localhost:8443"


def test_the_token_is_kept_for_six_hours_from_its_first_use(webpush):
    token = run(webpush.credential(NOW + timedelta(minutes=59)))
    assert token.fresh_until == NOW + timedelta(hours=6, minutes=59)
    assert webpush.remint_after == timedelta(hours=1)


def test_the_token_is_the_same_in_all_processes_that_start_within_an_hour(provider_named, webpush):
    def sign(provider, now):
        request = the_request(provider, alert_content(), a_target("webpush"), now)
        return headers_of(request)["authorization"]

    another = module.Provider(webpush.settings)
    assert sign(webpush, NOW) == sign(another, NOW + timedelta(minutes=59))
    assert sign(webpush, NOW) != sign(webpush, NOW + timedelta(hours=6))


def test_the_key_in_the_header_is_the_one_that_browsers_subscribe_with(webpush):
    header = headers_of(the_request(webpush, alert_content(), a_target("webpush")))["authorization"]
    assert header.split(", k=")[1] == webpush.public_key
    assert len(webpush.public_key) == 87


def test_mozilla_gets_no_more_than_its_bridge_to_android_takes(webpush):
    content = alert_content(body="x" * 5000)
    long = the_request(webpush, content, a_target("webpush", address=GOOGLE))
    short = the_request(webpush, content, a_target("webpush", address=MOZILLA))
    assert len(long.body) > 4000
    assert 2700 < len(short.body) <= 2744


@pytest.mark.parametrize(
    "broken", [{"p256dh": None}, {"auth": None}, {"p256dh": "BA"}, {"auth": "*"}]
)
def test_a_device_without_good_keys_is_refused_and_stops_nobody_else(webpush, broken):
    targets = [a_target("webpush", 0, **broken), a_target("webpush", 1)]
    first, second = requests(webpush, alert_content(), *targets)
    assert first[0] == 0
    assert isinstance(first[1], DeviceRefused)
    assert second.positions == (1,)


@pytest.fixture
def opened(webpush):
    settings = module.Settings(
        vapid_key_file=webpush.settings.vapid_key_file,
        subject="mailto:push@news.example",
        allowed_hosts="*",
    )
    return module.Provider(settings)


@pytest.mark.parametrize("answer", [an_answer(413), an_answer(400, {"errno": 111})])
def test_a_stranger_behind_an_endpoint_cannot_stop_an_alert_for_others(webpush, opened, answer):
    assert isinstance(webpush.read_answer(answer, (0,))[0], DeviceRefused)
    assert isinstance(opened.read_answer(answer, (0,))[0], DeviceRefused)


def test_a_subscription_that_chrome_has_removed_is_gone_at_once(webpush):
    removed = a_target("webpush", address="https://permanently-removed.invalid/fcm/send/x")
    [(position, verdict), _] = requests(
        webpush, alert_content(), removed, a_target("webpush", 1, delivery_id="1")
    )
    assert position == 0
    assert isinstance(verdict, DeviceGone)
    assert not verdict.doubtful


def test_keys_may_be_in_standard_base64_with_padding(webpush):
    target = a_target("webpush")
    key, secret = from_base64url(target.p256dh), from_base64url(target.auth)
    registration = Registration(
        provider="webpush",
        address=target.address,
        p256dh=base64.b64encode(key).decode(),
        auth=base64.b64encode(secret).decode(),
    )
    valid = webpush.check(registration)
    assert (valid.p256dh, valid.auth) == (target.p256dh, target.auth)


def test_only_a_named_host_and_port_may_be_private(webpush):
    settings = module.Settings(
        vapid_key_file=webpush.settings.vapid_key_file,
        subject="https://news.example/contact",
        allowed_hosts="127.0.0.1:8443, fcm.googleapis.com",
    )
    guard = module.Provider(settings).guard
    assert guard("127.0.0.1", 8443)
    assert not guard("127.0.0.1", 443)
    assert not guard("fcm.googleapis.com", 443)


def registration(**given) -> Registration:
    key, secret = b64(encode_point(BROWSER_KEY.public_key())), b64(BROWSER_SECRET)
    usual = {"provider": "webpush", "address": GOOGLE, "p256dh": key, "auth": secret}
    return Registration(**usual | given)


def test_keys_are_kept_in_one_spelling(webpush):
    padded = registration(p256dh=registration().p256dh + "=", auth=registration().auth + "==")
    vapid_key = webpush.check(registration()).vapid_key
    assert webpush.check(padded) == registration(kind="endpoint", vapid_key=vapid_key)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"address": "https://10.0.0.1/x"}, "address"),
        ({"address": "http://fcm.googleapis.com/x"}, "address"),
        ({"p256dh": None}, "keys.p256dh"),
        ({"p256dh": ""}, "keys.p256dh"),
        ({"p256dh": "not base64!"}, "keys.p256dh"),
        ({"p256dh": b64(b"\x04" + bytes(64))}, "keys.p256dh"),
        ({"p256dh": b64(encode_point(BROWSER_KEY.public_key())[:64])}, "keys.p256dh"),
        ({"auth": None}, "keys.auth"),
        ({"auth": b64(bytes(15))}, "keys.auth"),
        ({"auth": b64(bytes(17))}, "keys.auth"),
        ({"auth": "é"}, "keys.auth"),
    ],
)
def test_a_refusal_names_the_field(webpush, given, field):
    with pytest.raises(Invalid) as refused:
        webpush.check(registration(**given))
    assert refused.value.field == field


def test_a_browser_that_shows_our_own_key_is_refused(webpush):
    with pytest.raises(Invalid) as refused:
        webpush.check(registration(p256dh=webpush.public_key))
    assert refused.value.field == "keys.p256dh"


def test_a_changed_key_file_is_picked_up(tmp_path):
    file = tmp_path / "vapid.pem"
    file.write_bytes(pem(a_p256_key()))
    settings = module.Settings(vapid_key_file=file, subject="mailto:a@b.example")
    provider = module.Provider(settings)
    name, shown = provider.credential_key(), provider.public_key
    file.write_bytes(pem(a_p256_key()))
    assert provider.credential_key() != name
    assert provider.public_key != shown
    request = the_request(provider, alert_content(), a_target("webpush"))
    assert headers_of(request)["authorization"].endswith(provider.public_key)


def test_the_credential_holds_no_secret(webpush):
    assert run(webpush.credential(NOW)).value == webpush.public_key


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "push@news.example",
        "mailto:x@localhost",
        "http://a.example",
        "mailto:",
        "mailto:mailto:x@news.example",
        "mailto:<x@news.example>",
        "mailto: x@news.example",
        "mailto:x@y@news.example",
        "mailto:x@news.example,y@news.example",
        "mailto:x@news.example?subject=push",
        "mailto:x@news.invalid",
        "mailto:x@127.0.0.1",
        "mailto:x@news.local",
        "mailto:x@news",
        "mailto:x@news.example\nbcc:y@news.example",
        "https:news.example",
        "https://localhost/contact",
        "https://127.0.0.1/",
        "https://me@news.example/",
        "https://news.example/con tact",
    ],
)
def test_a_subject_that_apple_would_refuse_is_a_bad_setting(webpush, subject):
    with pytest.raises(ValueError, match="subject"):
        module.Settings(vapid_key_file=webpush.settings.vapid_key_file, subject=subject)
