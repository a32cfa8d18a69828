"""A stand-in answers every input: an exception would be a 500 that no provider gives."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.standins.senders import DATA, FCM_TOKEN, HMS_TOKEN, WORDS, Apple, Browser, Expo, Mozilla
from workers.standins.all_standins import AllStandins
from workers.standins.data_folder.accounts import APNS_TOPIC, FCM_PROJECT, HMS_APP_ID
from workers.standins.providers.exchange import Request

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
NOTIFICATION = WORDS | {"click_action": {"type": 3}}
VALID = {
    "apns": {"aps": {"alert": WORDS}, **DATA},
    "fcm": {
        "validate_only": False,
        "message": {
            "token": FCM_TOKEN,
            "data": DATA,
            "notification": WORDS,
            "android": {"ttl": "60s", "collapse_key": "a", "notification": {"tag": "a"}},
            "android_v2": {"remote_notification": {"notification": WORDS}},
            "apns": {"headers": {}, "payload": {}},
        },
    },
    "hms": {
        "message": {
            "token": [HMS_TOKEN],
            "data": json.dumps(DATA),
            "notification": WORDS,
            "android": {"ttl": "60s", "collapse_key": 1, "notification": NOTIFICATION},
        }
    },
    "expo": [Expo(None, {}).message()],
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    servers = AllStandins(tmp_path_factory.mktemp("standins"))
    servers.webpush.origin = "https://127.0.0.1:1"
    return servers


@pytest.fixture(scope="module")
def valid_requests(servers):
    names = ("apns", "fcm", "webpush", "hms", "expo")
    credentials = servers.accounts.credentials(dict.fromkeys(names, "https://127.0.0.1:1"))
    token = Apple(None, credentials).mint()
    apns = {
        "authorization": f"bearer {token}",
        "apns-topic": APNS_TOPIC,
        "apns-push-type": "alert",
    }
    bearer = {name: f"Bearer {servers.tokens[name].issue()}" for name in ("fcm", "hms")}
    bearer["expo"] = f"Bearer {credentials['EXPO_ACCESS_TOKEN']}"
    paths = {
        "fcm": f"/v1/projects/{FCM_PROJECT}/messages:send",
        "hms": f"/v1/{HMS_APP_ID}/messages:send",
        "expo": "/--/api/v2/push/send",
    }
    requests = {
        name: (path, {"authorization": bearer[name], "content-type": "application/json"})
        for name, path in paths.items()
    }
    return requests | {"apns": ("/3/device/" + "ab" * 32, apns)}, Mozilla(None, credentials)


def send(servers, requests, name, body: bytes):
    path, headers = requests[0][name]
    answer = servers.by_name[name].answer(Request("POST", path, headers, body))
    for push in servers.pushes.search(None, None, None, slice(0, 10)).pushes:
        servers.by_name[push.provider].read_payload(push.payload)
    servers.forget_pushes()
    return answer


@pytest.mark.parametrize("name", VALID)
def test_the_valid_messages_are_accepted(servers, valid_requests, name):
    assert send(servers, valid_requests, name, json.dumps(VALID[name]).encode()).status == 200


@pytest.mark.parametrize("name", VALID)
@given(body=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_get_an_answer(servers, valid_requests, name, body):
    assert send(servers, valid_requests, name, body).status >= 200


@pytest.mark.parametrize("name", VALID)
@given(content=ANY_JSON)
@settings(max_examples=60, deadline=None)
def test_any_json_gets_an_answer(servers, valid_requests, name, content):
    assert send(servers, valid_requests, name, json.dumps(content).encode()).status >= 200


@pytest.mark.parametrize("name", VALID)
@given(seed=st.integers(0, 2**32), strange=ANY_JSON)
@settings(max_examples=120, deadline=None)
def test_a_valid_message_with_one_strange_value_gets_an_answer(
    servers, valid_requests, name, seed, strange
):
    content = {"root": json.loads(json.dumps(VALID[name]))}
    places = list(containers(content))
    holder, key = random.Random(seed).choice(places)
    holder[key] = strange
    body = json.dumps(content["root"]).encode()
    assert send(servers, valid_requests, name, body).status >= 200


def containers(value):
    """Yield every place in nested JSON as its holder and key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from containers(inner)


@given(plain=st.binary(min_size=1, max_size=60), path=st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_endpoint_and_any_plaintext_get_an_answer(servers, valid_requests, plain, path):
    mozilla = valid_requests[1]
    browser = Browser(**servers.webpush.subscribe())
    headers = {
        "ttl": "1",
        "content-encoding": "aes128gcm",
        "authorization": mozilla.vapid(browser),
    }
    body = mozilla.encrypt(browser, plain)
    path_of_browser = browser.address.removeprefix(servers.webpush.origin)
    answer = servers.webpush.answer(Request("POST", path_of_browser, headers, body))
    assert answer.status == 201
    [push] = servers.pushes.search(None, None, None, slice(0, 10)).pushes
    servers.webpush.read_payload(push.payload)
    servers.forget_pushes()
    strange = Request("POST", "/wpush/v2/" + path, headers, body)
    assert servers.webpush.answer(strange).status == 404
    strange = Request("POST", path_of_browser, headers, plain)
    assert servers.webpush.answer(strange).status in (201, 400)
    servers.forget_pushes()
