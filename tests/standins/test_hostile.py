"""Whatever comes in, a stand-in answers: an exception would be a 500 that no provider gives."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.standins.senders import DATA, FCM_TOKEN, HMS_TOKEN, WORDS, Apple, Browser, Expo, Mozilla
from workers.standins.accounts import APNS_TOPIC, FCM_PROJECT, HMS_APP_ID
from workers.standins.all_standins import Stage
from workers.standins.providers.exchange import Request

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
SHOWN = WORDS | {"click_action": {"type": 3}}
GOOD = {
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
            "android": {"ttl": "60s", "collapse_key": 1, "notification": SHOWN},
        }
    },
    "expo": [Expo(None, {}).message()],
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("stage"))
    stage.webpush.origin = "https://127.0.0.1:1"
    return stage


@pytest.fixture(scope="module")
def good_requests(stage):
    names = ("apns", "fcm", "webpush", "hms", "expo")
    credentials = stage.accounts.credentials(dict.fromkeys(names, "https://127.0.0.1:1"))
    token = Apple(None, credentials).mint()
    apns = {
        "authorization": f"bearer {token}",
        "apns-topic": APNS_TOPIC,
        "apns-push-type": "alert",
    }
    bearer = {name: f"Bearer {stage.tokens[name].issue()}" for name in ("fcm", "hms")}
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


def ask(stage, requests, name, body: bytes):
    path, headers = requests[0][name]
    answer = stage.standins[name].answer(Request("POST", path, headers, body))
    for push in stage.pushes.find(None, None, None, slice(0, 10)).pushes:
        stage.standins[push.provider].read(push.payload)
    stage.forget()
    return answer


@pytest.mark.parametrize("name", GOOD)
def test_the_good_ones_are_good(stage, good_requests, name):
    assert ask(stage, good_requests, name, json.dumps(GOOD[name]).encode()).status == 200


@pytest.mark.parametrize("name", GOOD)
@given(body=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_get_an_answer(stage, good_requests, name, body):
    assert ask(stage, good_requests, name, body).status >= 200


@pytest.mark.parametrize("name", GOOD)
@given(content=ANY_JSON)
@settings(max_examples=100, deadline=None)
def test_any_json_gets_an_answer(stage, good_requests, name, content):
    assert ask(stage, good_requests, name, json.dumps(content).encode()).status >= 200


@pytest.mark.parametrize("name", GOOD)
@given(seed=st.integers(0, 2**32), strange=ANY_JSON)
@settings(max_examples=250, deadline=None)
def test_a_good_message_with_one_strange_value_gets_an_answer(
    stage, good_requests, name, seed, strange
):
    content = {"root": json.loads(json.dumps(GOOD[name]))}
    places = list(containers(content))
    holder, key = random.Random(seed).choice(places)
    holder[key] = strange
    body = json.dumps(content["root"]).encode()
    assert ask(stage, good_requests, name, body).status >= 200


def containers(value):
    """Yield every place in nested JSON as its holder and key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from containers(inner)


@given(plain=st.binary(min_size=1, max_size=60), path=st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_endpoint_and_any_plaintext_get_an_answer(stage, good_requests, plain, path):
    mozilla = good_requests[1]
    made = stage.webpush.subscribe()
    browser = Browser(**made)
    headers = {
        "ttl": "1",
        "content-encoding": "aes128gcm",
        "authorization": mozilla.vapid(browser),
    }
    body = mozilla.encrypt(browser, plain)
    where = browser.address.removeprefix(stage.webpush.origin)
    good = stage.webpush.answer(Request("POST", where, headers, body))
    assert good.status == 201
    [push] = stage.pushes.find(None, None, None, slice(0, 10)).pushes
    stage.webpush.read(push.payload)
    stage.forget()
    strange = Request("POST", "/wpush/v2/" + path, headers, body)
    assert stage.webpush.answer(strange).status == 404
    strange = Request("POST", where, headers, plain)
    assert stage.webpush.answer(strange).status in (201, 400)
    stage.forget()
