"""The stand-ins against libraries of others: an acceptance, a refusal and a dead address are
understood as such, and what was accepted reads as it was written.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.standins.senders import DATA, DEVICE, FCM_TOKEN, WORDS
from workers.standins.process import StandinsProcess, start

pytestmark = [pytest.mark.foreign, pytest.mark.filterwarnings("ignore:Message.token is deprecated")]
TITLE, BODY = WORDS["title"], WORDS["body"]


@pytest.fixture(scope="module")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinsProcess]:
    with start(tmp_path_factory.mktemp("standins")) as running:
        yield running


@pytest.fixture
def control(standins: StandinsProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=standins.control, trust_env=False, timeout=30) as opened:
        opened.delete("/control/weather").raise_for_status()
        opened.delete("/control/pushes").raise_for_status()
        yield opened
        opened.delete("/control/weather").raise_for_status()


def put_weather(control: httpx.Client, provider: str, kind: str) -> None:
    weather = {"provider": provider, "share": {kind: 1.0}}
    control.put("/control/weather", json=weather).raise_for_status()


def received(control: httpx.Client, provider: str) -> list[dict[str, Any]]:
    return list(control.get("/control/pushes", params={"provider": provider}).json()["items"])


def require_library(name: str) -> ModuleType:
    return pytest.importorskip(name, reason=f"no {name} here (make foreign installs it)")


# ---- aioapns -------------------------------------------------------------------------------------


@pytest.fixture
def apple(standins: StandinsProcess, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A call of aioapns that pushes to one device and returns what it made of the answer."""
    aioapns = require_library("aioapns")
    connection = require_library("aioapns.connection")
    where = urlsplit(standins.credentials["APNS_URL"])
    protocol = connection.APNsProductionClientProtocol
    monkeypatch.setattr(protocol, "APNS_SERVER", where.hostname)
    monkeypatch.setattr(protocol, "APNS_PORT", where.port)

    key = Path(standins.credentials["APNS_KEY_FILE"]).read_text()

    async def push(device: str, **options: Any) -> Any:
        client = aioapns.APNs(
            key=key,
            key_id=standins.credentials["APNS_KEY_ID"],
            team_id=standins.credentials["APNS_TEAM_ID"],
            topic=standins.credentials["APNS_TOPIC"],
            ssl_context=ssl.create_default_context(cafile=standins.ca_file),
            max_connection_attempts=1,
        )
        message = {"aps": {"alert": WORDS}, **DATA}
        request = aioapns.NotificationRequest(
            device_token=device,
            message=message,
            push_type=aioapns.PushType.ALERT,
            priority=10,
            time_to_live=3600,
            collapse_key="story-12",
            **options,
        )
        try:
            return await asyncio.wait_for(client.send_notification(request), 20)
        finally:
            for opened in client.pool.connections:
                opened.close()

    return lambda device=DEVICE, **options: asyncio.run(push(device, **options))


def test_aioapns_has_its_push_accepted(apple: Callable[..., Any], control: httpx.Client) -> None:
    result = apple()

    assert (result.is_successful, result.status) == (True, "200")
    [push] = received(control, "apns")
    assert (push["title"], push["body"]) == (TITLE, BODY)
    assert (push["address"], push["collapse_key"]) == (DEVICE, "story-12")


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("gone", "410", "Unregistered"),
        ("refused", "400", "BadDeviceToken"),
        ("429", "429", "TooManyRequests"),
        ("500", "500", "InternalServerError"),
        ("503", "503", "ServiceUnavailable"),
    ],
)
def test_aioapns_reads_the_reason_of_a_refusal(
    apple: Callable[..., Any], control: httpx.Client, kind: str, status: str, reason: str
) -> None:
    put_weather(control, "apns", kind)

    result = apple()

    assert (result.status, result.description) == (status, reason)
    assert (result.timestamp is not None) == (kind == "gone")
    assert received(control, "apns") == []


def test_aioapns_hears_of_a_wrong_topic_and_a_wrong_address(
    apple: Callable[..., Any], control: httpx.Client
) -> None:
    assert apple(apns_topic="org.example.other").description == "TopicDisallowed"
    assert apple("not-a-device").description == "BadDeviceToken"


# ---- firebase-admin ------------------------------------------------------------------------------


@pytest.fixture
def google(standins: StandinsProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """firebase-admin, led to the stand-in; its own retries are off."""
    firebase_admin = require_library("firebase_admin")
    messaging = require_library("firebase_admin.messaging")
    adapters = require_library("requests.adapters")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", standins.ca_file)
    monkeypatch.setenv("NO_PROXY", "*")
    url = standins.credentials["FCM_URL"] + "/v1/projects/{0}/messages:send"
    monkeypatch.setattr(messaging._MessagingService, "FCM_URL", url)
    account = firebase_admin.credentials.Certificate(standins.credentials["FCM_CREDENTIALS_FILE"])
    app = firebase_admin.initialize_app(account, {"httpTimeout": 10})
    messaging._get_messaging_service(app)._client.session.mount("https://", adapters.HTTPAdapter())
    yield messaging
    firebase_admin.delete_app(app)


def an_android_push(messaging: Any, token: str = FCM_TOKEN) -> Any:
    return messaging.Message(
        token=token,
        data=DATA,
        notification=messaging.Notification(title=TITLE, body=BODY),
        android=messaging.AndroidConfig(priority="high", ttl=3600, collapse_key="story-12"),
    )


def test_firebase_admin_has_its_push_accepted(google: Any, control: httpx.Client) -> None:
    name = google.send(an_android_push(google))

    assert name.startswith("projects/")
    [push] = received(control, "fcm")
    assert (push["title"], push["body"], push["address"]) == (TITLE, BODY, FCM_TOKEN)
    assert push["collapse_key"] == "story-12"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("gone", "UnregisteredError"),
        ("refused", "SenderIdMismatchError"),
        ("429", "QuotaExceededError"),
        ("500", "InternalError"),
        ("503", "UnavailableError"),
    ],
)
def test_firebase_admin_raises_what_the_answer_means(
    google: Any, control: httpx.Client, kind: str, error: str
) -> None:
    put_weather(control, "fcm", kind)

    result = google.send_each([an_android_push(google)])

    [response] = result.responses
    assert type(response.exception).__name__ == error
    assert received(control, "fcm") == []


def test_firebase_admin_tells_the_devices_of_one_call_apart(
    google: Any, control: httpx.Client
) -> None:
    tokens = [FCM_TOKEN, FCM_TOKEN[:-1] + "y", FCM_TOKEN[:-1] + "z"]
    weather = {"provider": "fcm", "address": tokens[1], "share": {"gone": 1.0}}
    control.put("/control/weather", json=weather).raise_for_status()

    result = google.send_each([an_android_push(google, token) for token in tokens])

    assert [response.success for response in result.responses] == [True, False, True]


# ---- pywebpush -----------------------------------------------------------------------------------


@pytest.fixture
def browser_push(standins: StandinsProcess, control: httpx.Client) -> Callable[..., Any]:
    """A call of pywebpush that pushes to a new subscription."""
    pywebpush = require_library("pywebpush")
    requests = require_library("requests")
    made = control.post("/control/subscriptions", json={"provider": "webpush"}).json()["items"][0]
    session = requests.Session()
    session.verify, session.trust_env = standins.ca_file, False

    def push(**options: Any) -> Any:
        content = json.dumps(DATA | WORDS | {"tag": "story-12"})
        return pywebpush.webpush(
            {"endpoint": made["address"], "keys": made["keys"]},
            content,
            vapid_private_key=standins.credentials["WEBPUSH_VAPID_KEY_FILE"],
            vapid_claims={"sub": standins.credentials["WEBPUSH_SUBJECT"]},
            ttl=600,
            headers={"urgency": "high", "topic": "story-12"},
            requests_session=session,
            **options,
        )

    return push


def test_pywebpush_has_its_push_accepted_and_decrypted(
    browser_push: Callable[..., Any], control: httpx.Client
) -> None:
    assert browser_push().status_code == 201
    [push] = received(control, "webpush")
    assert (push["title"], push["body"]) == (TITLE, BODY)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [("gone", {404, 410}), ("refused", {301}), ("429", {429}), ("500", {500}), ("503", {503})],
)
def test_pywebpush_raises_the_status_of_a_refusal(
    browser_push: Callable[..., Any], control: httpx.Client, kind: str, statuses: set[int]
) -> None:
    put_weather(control, "webpush", kind)

    with pytest.raises(require_library("pywebpush").WebPushException) as refusal:
        browser_push()

    assert refusal.value.response.status_code in statuses
    assert received(control, "webpush") == []


def test_pywebpush_cannot_use_the_older_encoding(browser_push: Callable[..., Any]) -> None:
    """Only RFC 8188 is standing: `aesgcm` was a draft."""
    with pytest.raises(require_library("pywebpush").WebPushException):
        browser_push(content_encoding="aesgcm")
