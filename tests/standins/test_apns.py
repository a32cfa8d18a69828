import json
import ssl
import time

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.standins.senders import DATA, DEVICE, WORDS, Apple
from tests.standins.test_misbehaviour import put_weather
from workers.standins.providers.apns import MAX_BYTES, _refuse_form


def reason(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


def test_a_valid_push_is_accepted_and_its_id_returned(apple, control):
    push_id = "0f0e0d0c-0b0a-4908-8706-050403020100"
    answer = apple.push(apns_id=push_id)
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    assert answer.headers["apns-id"] == push_id
    assert answer.content == b""
    [item] = control.get("/control/pushes").json()["items"]
    assert item["address"] == DEVICE
    assert (item["title"], item["body"]) == (WORDS["title"], WORDS["body"])
    assert item["collapse_key"] == "story-12"
    assert {name: item[name] for name in DATA} == DATA


@pytest.mark.parametrize(
    "weather",
    [
        {"script": [{"status": 503}]},
        {"script": [{"status": 200, "body": "<html>"}]},
        {"script": [{"status": "gone"}]},
        {"share": {"429": 1}},
    ],
)
def test_an_answer_under_weather_returns_the_id_too(apple, control, weather):
    put_weather(control, provider="apns", **weather)
    push_id = "0f0e0d0c-0b0a-4908-8706-050403020100"
    assert apple.push(apns_id=push_id).headers.get_list("apns-id") == [push_id]


def test_an_id_is_made_when_there_is_none(apple):
    assert len(apple.push(apns_id=None).headers["apns-id"]) == 36


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        ({"path": "/3/devices/" + DEVICE}, 404, "BadPath"),
        ({"method": "GET"}, 405, "MethodNotAllowed"),
        ({"device": ""}, 400, "MissingDeviceToken"),
        ({"device": "ab" * 31}, 400, "BadDeviceToken"),
        ({"device": "ab" * 101}, 400, "BadDeviceToken"),
        ({"device": "zz" * 32}, 400, "BadDeviceToken"),
        ({"apns_topic": None}, 400, "MissingTopic"),
        ({"apns_topic": "com.example.other"}, 400, "TopicDisallowed"),
        ({"apns_topic": "not a topic"}, 400, "BadTopic"),
        ({"apns_push_type": "voip"}, 400, "TopicDisallowed"),
        ({"apns_push_type": None}, 400, "InvalidPushType"),
        ({"apns_push_type": "shout"}, 400, "InvalidPushType"),
        ({"apns_push_type": "background", "apns_priority": "5"}, 400, "InvalidPushType"),
        ({"apns_push_type": "background"}, 400, "BadPriority"),
        ({"apns_priority": "7"}, 400, "BadPriority"),
        ({"apns_priority": "high"}, 400, "BadPriority"),
        ({"apns_expiration": "tomorrow"}, 400, "BadExpirationDate"),
        ({"apns_expiration": "-1"}, 400, "BadExpirationDate"),
        ({"apns_expiration": str(int(time.time()) + 31 * 86_400)}, 400, "BadExpirationDate"),
        ({"apns_collapse_id": "x" * 65}, 400, "BadCollapseId"),
        ({"apns_id": "not-a-uuid"}, 400, "BadMessageId"),
        ({"apns_id": "0F0E0D0C-0B0A-4908-8706-050403020100"}, 400, "BadMessageId"),
        ({"apns_priority": ["10", "10"]}, 400, "DuplicateHeaders"),
        ({"body": b""}, 400, "PayloadEmpty"),
        ({"body": b"{not json"}, 400, "PayloadEmpty"),
        ({"body": b"[" * 4000}, 400, "PayloadEmpty"),
        ({"body": b"[1]"}, 400, "PayloadEmpty"),
        ({"body": b'{"alert_id":"71"}'}, 400, "PayloadEmpty"),
        ({"body": b'{"aps":{"content-available":1}}'}, 400, "InvalidPushType"),
        ({"authorization": None}, 403, "MissingProviderToken"),
        ({"authorization": "Basic abc"}, 403, "MissingProviderToken"),
        ({"authorization": "bearer not.a.token"}, 403, "InvalidProviderToken"),
    ],
)
def test_what_apple_forbids_is_refused_with_apples_reason(apple, control, change, status, expected):
    assert reason(apple.push(**change)) == (status, expected)
    assert control.get("/control/pushes").json()["count"] == 0


def test_the_collapse_id_is_measured_in_bytes():
    collapse = {"apns-collapse-id": "नमस्ते" * 4}
    assert len(collapse["apns-collapse-id"]) < 64
    assert _refuse_form(collapse) == "BadCollapseId"


def payload_of(size: int) -> bytes:
    empty = json.dumps({"aps": {"alert": {"body": ""}}})
    return json.dumps({"aps": {"alert": {"body": "x" * (size - len(empty))}}}).encode()


def test_a_payload_may_have_4096_bytes_and_no_more(apple):
    assert apple.push(body=payload_of(MAX_BYTES)).status_code == 200
    assert reason(apple.push(body=payload_of(MAX_BYTES + 1))) == (413, "PayloadTooLarge")


def test_a_background_push_is_accepted_with_priority_5(apple):
    body = b'{"aps":{"content-available":1},"alert_id":"71"}'
    answer = apple.push(body=body, apns_push_type="background", apns_priority="5")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("mint", "expected"),
    [
        ({"age": 3700}, "ExpiredProviderToken"),
        ({"age": -600}, "InvalidProviderToken"),
        ({"kid": "OTHERKEY00"}, "InvalidProviderToken"),
        ({"issuer": "OTHERTEAM0"}, "InvalidProviderToken"),
        ({"key": "x" * 32, "algorithm": "HS256"}, "InvalidProviderToken"),
        ({"iat": "soon"}, "InvalidProviderToken"),
        ({"iat": None}, "InvalidProviderToken"),
    ],
)
def test_a_provider_token_must_be_ours_and_fresh(apple, mint, expected):
    apple.token = apple.mint(**mint)
    assert reason(apple.push()) == (403, expected)


def test_a_token_of_another_key_is_invalid(apple):
    apple.token = apple.mint(key=ec.generate_private_key(ec.SECP256R1()))
    assert reason(apple.push()) == (403, "InvalidProviderToken")


def test_the_third_change_of_token_in_twenty_minutes_is_too_many(apple, control):
    tokens = [apple.mint(age=age) for age in range(4)]
    answers = [apple.push(authorization=f"bearer {token}") for token in tokens]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert reason(answers[3]) == (429, "TooManyProviderTokenUpdates")
    assert apple.push(authorization=f"bearer {tokens[0]}").status_code == 200
    control.delete("/control/weather")
    assert apple.push(authorization=f"bearer {tokens[3]}").status_code == 200


def test_a_device_is_one_device_in_either_case(apple, control):
    apple.push()
    apple.push(DEVICE.upper())
    assert control.get("/control/pushes").json()["devices"] == 1


def test_apple_speaks_only_http_2(standins):
    trust = ssl.create_default_context(cafile=standins.ca_file)
    with httpx.Client(verify=trust, trust_env=False) as client, pytest.raises(httpx.HTTPError):
        Apple(client, standins.credentials).push()
