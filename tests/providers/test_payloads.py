"""What leaves for every provider: it fits, it reads well, and it carries its ids."""

import json
from datetime import timedelta

import http_ece
import pytest

from service.domain.alert import Words
from service.domain.subscription import Urgency
from tests.providers.examples import (
    BROWSER_KEY,
    BROWSER_SECRET,
    NOW,
    a_target,
    alert_content,
    headers_of,
    requests,
    the_request,
)
from workers.provider import DELIVERY_ID_ROOM, RECEIPT_ROOM, Request

PROVIDERS = ["apns", "expo", "fcm", "hms", "webpush"]
ONE_EACH = ["apns", "expo", "fcm", "webpush"]
LONG = {
    "hindi": "क्षत्रिय नमस्ते दुनिया ",
    "emoji": "👨‍👩‍👧‍👦🇮🇳👍🏽",
    "quotes": 'He said "no\\yes"\n',
    "arabic": "NASA: مطر غزير ",
    "latin": "Heavy rain by noon. ",
}


def plaintext(request: Request) -> bytes:
    """What a device gets to see of a request: Web Push is decrypted as the browser does."""
    if "content-encoding" not in headers_of(request):
        return request.body
    return http_ece.decrypt(
        request.body, private_key=BROWSER_KEY, auth_secret=BROWSER_SECRET, version="aes128gcm"
    )


def message_in(request: Request):
    found = json.loads(plaintext(request))
    return found[0] if isinstance(found, list) else found.get("message", found)


def words_of(name: str, request: Request) -> Words:
    found = message_in(request)
    shown = {"apns": lambda: found["aps"]["alert"], "fcm": lambda: found["notification"]}
    shown["hms"] = shown["fcm"]
    words = shown.get(name, lambda: found)()
    return Words(words["title"], words["body"])


def data_of(name: str, request: Request) -> dict:
    found = message_in(request)
    if name == "hms":
        return json.loads(found["data"])
    return found["data"] if name in {"fcm", "expo"} else found


def size_of(name: str, request: Request) -> int:
    """The bytes that the provider's limit is about."""
    if name == "hms":
        bare = {key: value for key, value in message_in(request).items() if key != "token"}
        return len(json.dumps(bare, ensure_ascii=False).encode())
    if name == "expo":
        return len(json.dumps(message_in(request), ensure_ascii=False).encode())
    return len(plaintext(request))


LIMITS = {"apns": 4096, "fcm": 4096, "webpush": 3993, "hms": 4096, "expo": 4096}


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("kind", LONG)
def test_the_longest_alert_fits_with_the_longest_ids_of_a_device(provider_named, name, kind):
    content = alert_content(
        title=LONG[kind] * 25,
        body=LONG[kind] * 600,
        language="ar" if kind == "arabic" else "en",
        image_url="https://news.example/" + "i" * 970,
        urgency=Urgency.BREAKING,
        collapse_key="k" * 200,
    )
    target = a_target(
        name, receipt="r" * RECEIPT_ROOM, delivery_id="d" * DELIVERY_ID_ROOM, kind="token"
    )
    request = the_request(provider_named(name), content, target)
    assert LIMITS[name] - 300 <= size_of(name, request) <= LIMITS[name]
    assert len(request.body) <= 4096 + len(target.address)
    assert words_of(name, request).body.endswith("…")


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_preview_is_what_leaves(provider_named, name):
    provider = provider_named(name)
    words = {
        "": Words("Rain", "x" * 9000),
        "hi": Words("बारिश", "तेज़ बारिश"),
        "ar": Words("مطر", "NASA مطر"),
    }
    content = alert_content(words=words)
    for locale in ("", "hi-IN", "ar"):
        target = a_target(name, locale=locale)
        preview = provider.preview(content, locale)
        request = the_request(provider, content, target)
        assert Words(preview.title, preview.body) == words_of(name, request)
        assert preview.shortened == (locale == "")
        assert size_of(name, request) <= preview.bytes_used <= preview.bytes_limit
        assert preview.bytes_limit == LIMITS[name]


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_device_reads_its_own_language(provider_named, name):
    content = alert_content(
        words={"": Words("Rain", "It rains."), "hi": Words("बारिश", "बारिश हो रही है।")}
    )
    targets = [a_target(name, 0, locale="hi-IN"), a_target(name, 1, locale="en-GB")]
    found = {}
    for request in requests(provider_named(name), content, *targets):
        if name == "expo":
            found = dict(zip(request.positions, json.loads(request.body), strict=True))
        else:
            found[request.positions[0]] = words_of(name, request)
    titles = [
        words["title"] if isinstance(words, dict) else words.title for words in found.values()
    ]
    assert dict(zip(found, titles, strict=True)) == {0: "बारिश", 1: "Rain"}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_push_carries_its_ids_and_the_storys_address(provider_named, name):
    content, target = alert_content(), a_target(name)
    data = data_of(name, the_request(provider_named(name), content, target))
    assert data["alert_id"] == content.alert_id
    assert data["story_id"] == content.story_id
    assert data["url"] == content.url
    if name in ONE_EACH:
        assert data["delivery_id"] == target.delivery_id
        assert data["receipt"] == target.receipt


@pytest.mark.parametrize("name", ["apns", "fcm", "webpush"])
def test_one_request_names_one_position(provider_named, name):
    found = requests(provider_named(name), alert_content(), *(a_target(name, n) for n in range(20)))
    assert [tuple(request.positions) for request in found] == [(n,) for n in range(20)]


@pytest.mark.parametrize("name", ["fcm", "hms", "expo", "webpush"])
def test_devices_share_the_very_headers(provider_named, name):
    found = requests(
        provider_named(name), alert_content(), *(a_target(name, n) for n in range(2200))
    )
    assert len({id(request.headers) for request in found}) == 1


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_address_that_escaped_every_check_breaks_nothing(provider_named, name):
    address = 'https://x.example/"},"to":"\\n' if name == "webpush" else 'a"},{"b":"\\/../é'
    request = the_request(provider_named(name), alert_content(), a_target(name, address=address))
    assert isinstance(message_in(request), dict)
    if name == "apns":
        assert request.url.endswith("/3/device/a%22%7D%2C%7B%22b%22%3A%22%5C%2F..%2F%C3%A9")
    if name == "fcm":
        assert message_in(request)["token"] == address


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_image_goes_along_unless_its_address_is_endless(provider_named, name):
    image = "https://news.example/rain.jpg"
    with_image = the_request(provider_named(name), alert_content(image_url=image), a_target(name))
    assert image in plaintext(with_image).decode()
    endless = alert_content(image_url=image + "?" + "x" * 3000)
    assert (
        "rain.jpg"
        not in plaintext(the_request(provider_named(name), endless, a_target(name))).decode()
    )


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_picture_of_ours_is_cut_as_each_platform_shows_it(provider_named, name):
    picture = f"https://news.example/media/{'0a' * 16}"
    content = alert_content(image_url=f"{picture}-1600.jpg")
    text = plaintext(the_request(provider_named(name), content, a_target(name))).decode()
    end = "-1200.jpg" if name in ("apns", "expo") else "-wide.jpg"
    assert f'"{picture}{end}"' in text
    assert text.count(picture) == 1


@pytest.mark.parametrize("name", PROVIDERS)
def test_right_to_left_words_are_marked(provider_named, name):
    content = alert_content(language="ar", title="UNICEF: مطر", body="مطر")
    assert words_of(name, the_request(provider_named(name), content, a_target(name))) == Words(
        "\u200fUNICEF: مطر", "مطر"
    )


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("body", ["", " \n"])
def test_a_flash_without_a_summary_has_no_body(provider_named, name, body):
    request = the_request(provider_named(name), alert_content(body=body), a_target(name))
    shown = message_in(request)
    words = {"apns": lambda: shown["aps"]["alert"], "expo": lambda: shown, "webpush": lambda: shown}
    texts = words.get(name, lambda: shown["notification"])()
    assert texts["title"] == "Rain at last"
    if name == "hms":  # Huawei takes no alert without a body
        assert texts["body"] == "news.example"
    else:
        assert "body" not in texts


@pytest.mark.parametrize("name", ["fcm", "webpush", "hms"])
@pytest.mark.parametrize(("left_ms", "ttl"), [(1, 1), (999, 1), (1000, 1), (1001, 2), (59_500, 60)])
def test_the_time_to_live_of_an_alert_that_has_not_expired_is_at_least_a_second(
    provider_named, name, left_ms, ttl
):
    content = alert_content(expires_at=NOW + timedelta(milliseconds=left_ms))
    request = the_request(provider_named(name), content, a_target(name))
    if name == "webpush":
        assert headers_of(request)["ttl"] == str(ttl)
    else:
        assert message_in(request)["android"]["ttl"] == f"{ttl}s"


@pytest.mark.parametrize("name", ["apns", "expo", "fcm"])
def test_an_alert_expires_at_the_end_of_its_last_second(provider_named, name):
    content = alert_content(expires_at=NOW + timedelta(milliseconds=500))
    request = the_request(provider_named(name), content, a_target(name))
    expiry = {
        "apns": lambda: headers_of(request)["apns-expiration"],
        "expo": lambda: message_in(request)["expiration"],
        "fcm": lambda: message_in(request)["apns"]["headers"]["apns-expiration"],
    }
    assert int(expiry[name]()) == int(NOW.timestamp()) + 1


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_time_to_live_is_what_is_left(provider_named, name):
    content = alert_content(expires_at=NOW + timedelta(minutes=90))
    request = the_request(
        provider_named(name), content, a_target(name), now=NOW + timedelta(minutes=30)
    )
    expires = int(content.expires_at.timestamp())
    told = {
        "apns": lambda: int(headers_of(request)["apns-expiration"]) == expires,
        "fcm": lambda: message_in(request)["android"]["ttl"] == "3600s",
        "webpush": lambda: headers_of(request)["ttl"] == "3600",
        "hms": lambda: message_in(request)["android"]["ttl"] == "3600s",
        "expo": lambda: message_in(request)["expiration"] == expires,
    }
    assert told[name]()
