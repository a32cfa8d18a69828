import json
import ssl
import time
from types import SimpleNamespace

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.standins.senders import DATA, WORDS, Browser, b64, point, unb64
from workers.standins.providers.exchange import Refusal
from workers.standins.providers.subscriptions import find_subscription, subscribe
from workers.standins.providers.webpush import decrypt


def test_a_push_is_decrypted_and_answered_201_with_a_location(mozilla, browser, control):
    answer = mozilla.push(browser)
    assert answer.status_code == 201
    assert answer.headers["location"].startswith("https://127.0.0.1:")
    assert answer.headers["ttl"] == "600"
    [item] = control.get("/control/pushes").json()["items"]
    assert item["address"] == browser.address
    assert (item["title"], item["body"]) == (WORDS["title"], WORDS["body"])
    assert item["collapse_key"] == "story-12"
    assert {name: item[name] for name in DATA} == DATA


def test_the_example_of_rfc_8291_decrypts():
    private = int.from_bytes(unb64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
    key = ec.derive_private_key(private, ec.SECP256R1())
    auth = unb64("BTBZMqHH6r4Tts7J_aSIgg")
    device = SimpleNamespace(private_key=key, public_point=point(key), auth=auth)
    body = unb64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmY"
        "WAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexS"
        "gSxsj_Qulcy4a-fN"
    )
    assert decrypt(body, device) == b"When I grow up, I want to be a watermelon"
    with pytest.raises(Refusal):
        decrypt(body[:-1] + b"x", device)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"ttl": None}, 400),
        ({"ttl": "-1"}, 400),
        ({"ttl": "1.5"}, 400),
        ({"ttl": "2592001"}, 400),
        ({"urgency": "highest"}, 400),
        ({"topic": "x" * 33}, 400),
        ({"topic": "story/12"}, 400),
        ({"topic": ""}, 400),
        ({"content_encoding": None}, 400),
        ({"content_encoding": "aesgcm"}, 400),
        ({"authorization": None}, 401),
        ({"authorization": "Bearer x"}, 401),
        ({"authorization": "vapid t=x"}, 403),
        ({"method": "GET"}, 405),
        ({"body": b"x" * 4097}, 413),
        ({"body": b"x" * 80}, 400),
        ({"body": b"x" * 200}, 400),
    ],
)
def test_what_the_rfcs_forbid_is_refused(mozilla, browser, control, change, status):
    answer = mozilla.push(browser, **change)
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert control.get("/control/pushes").json()["count"] == 0


@pytest.mark.parametrize("ttl", ["0", "2592000"])
def test_the_least_and_the_longest_ttl_are_accepted(mozilla, browser, ttl):
    assert mozilla.push(browser, ttl=ttl).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "https://push.example.com"},
        {"aud": None},
        {"exp": int(time.time()) + 90_000},
        {"exp": int(time.time()) - 600},
        {"exp": None},
        {"sub": None},
        {"sub": "push@example.com"},
        {"sub": "mailto:push@localhost"},
        {"sub": "https://localhost/contact"},
        {"key": ec.generate_private_key(ec.SECP256R1()), "shown": b"\4" + b"x" * 64},
    ],
)
def test_a_vapid_token_that_breaks_a_rule_is_refused(mozilla, browser, change):
    assert mozilla.push(browser, authorization=mozilla.vapid(browser, **change)).status_code == 403


def test_the_shown_key_must_be_the_one_that_signed(mozilla, browser):
    other = point(ec.generate_private_key(ec.SECP256R1()))
    authorization = mozilla.vapid(browser, shown=other)
    assert mozilla.push(browser, authorization=authorization).status_code == 403


def test_a_subscription_belongs_to_the_first_key_that_pushes_to_it(mozilla, browser):
    assert mozilla.push(browser).status_code == 201
    stranger = mozilla.vapid(browser, key=ec.generate_private_key(ec.SECP256R1()))
    assert mozilla.push(browser, authorization=stranger).status_code == 403


def test_a_subscription_made_with_a_key_belongs_to_that_key_only(mozilla, control):
    owner = ec.generate_private_key(ec.SECP256R1())
    body = {"provider": "webpush", "application_server_key": b64(point(owner))}
    [item] = control.post("/control/subscriptions", json=body).json()["items"]
    browser = Browser(**item)
    assert mozilla.push(browser).status_code == 403
    authorization = mozilla.vapid(browser, key=owner)
    assert mozilla.push(browser, authorization=authorization).status_code == 201


def test_an_endpoint_that_was_never_made_is_unknown(mozilla, browser):
    last = "A" if browser.address[-1] != "A" else "B"
    for address in (browser.address[:-1] + last, browser.address + "A", browser.address[:-1]):
        assert mozilla.push(Browser(address, browser.keys)).status_code == 404


def test_a_payload_encrypted_for_another_device_is_refused(mozilla, browser, control):
    [other] = control.post("/control/subscriptions", json={"provider": "webpush"}).json()["items"]
    body = mozilla.encrypt(Browser(**other))
    assert mozilla.push(browser, body).status_code == 400
    assert control.get("/control/pushes").json()["count"] == 0


def test_a_wrong_auth_secret_does_not_decrypt(mozilla, browser):
    body = mozilla.encrypt(browser, auth_secret=b"0" * 16)
    assert mozilla.push(browser, body).status_code == 400


def test_the_vapid_key_must_not_encrypt(mozilla, browser):
    body = mozilla.encrypt(browser, private_key=mozilla.key())
    assert mozilla.push(browser, body).status_code == 400


def test_a_payload_is_one_record_shorter_than_its_size(mozilla, browser):
    assert mozilla.push(browser, mozilla.encrypt(browser, b"x" * 100, rs=60)).status_code == 400
    assert mozilla.push(browser, mozilla.encrypt(browser, b"x" * 100, rs=117)).status_code == 400
    assert mozilla.push(browser, mozilla.encrypt(browser, b"x" * 100, rs=118)).status_code == 201
    longest = mozilla.encrypt(browser, b"x" * 3993)
    assert len(longest) == 4096
    assert mozilla.push(browser, longest).status_code == 201


def test_a_push_without_payload_is_accepted(mozilla, browser):
    assert mozilla.push(browser, b"", content_encoding=None).status_code == 201


def test_plain_text_is_shown_as_the_body(mozilla, browser, control):
    assert mozilla.push(browser, mozilla.encrypt(browser, b"hello")).status_code == 201
    assert control.get("/control/pushes").json()["items"][0]["body"] == "hello"


def test_http_1_1_is_served_too(standins, mozilla, browser):
    trust = ssl.create_default_context(cafile=standins.ca_file)
    with httpx.Client(verify=trust, trust_env=False) as client:
        mozilla.client = client
        answer = mozilla.push(browser)
    assert (answer.status_code, answer.http_version) == (201, "HTTP/1.1")


def test_a_subscription_follows_from_its_seed_and_path():
    subscription = subscribe(b"seed")
    again = find_subscription(b"seed", subscription.path)
    assert again is not None
    assert (again.public_point, again.auth) == (subscription.public_point, subscription.auth)
    assert find_subscription(b"another seed", subscription.path) is None
    assert len({subscribe(b"seed").path for _ in range(100)}) == 100
    assert len(json.dumps(subscription.path)) < 60
