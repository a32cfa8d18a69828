"""What the doctor says of providers that are well, and of those that are not."""

from types import SimpleNamespace

import httpx
import pytest

from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Reach,
    SenderRejected,
    TryLater,
)
from service.settings import Settings
from workers.providers import apns
from workers.upkeep import doctor, story_page

NAMES = ("apns", "console", "expo", "fcm", "hms", "webpush")


@pytest.fixture
def examine(standins, monkeypatch):
    """Examine providers that are configured for the stand-ins but for what a test changes."""

    def run(names=NAMES, *, sender="curl", trusted=True, **changes):
        for name, value in (standins.credentials | changes).items():
            monkeypatch.setenv(name, value)
        settings = Settings(
            _env_file=None,
            database_url="postgresql://nobody@127.0.0.1/none",
            redis_url="redis://127.0.0.1/0",
            secret_key="a secret that only tests know",
            providers=names,
            sender=sender,
            ca_file=standins.ca_file if trusted else None,
            request_timeout_s=5,
        )
        return {found.part: found for found in doctor.examine(settings)}

    return run


@pytest.mark.parametrize("sender", ["curl", "httpx"])
def test_well_configured_providers_are_well(examine, sender):
    assert {name: found.is_well for name, found in examine(sender=sender).items()} == dict.fromkeys(
        NAMES, True
    )


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("apns", {"APNS_TOPIC": "org.example.other"}, "APNS_TOPIC"),
        ("apns", {"APNS_KEY_ID": "OTHERKEY12"}, "APNS_KEY_ID"),
        ("apns", {"APNS_KEY_FILE": "/nowhere/key.p8"}, "APNS_KEY_FILE"),
        ("apns", {"APNS_URL": "https://127.0.0.1:9"}, "APNS_URL"),
        ("fcm", {"FCM_URL": "https://127.0.0.1:9"}, "FCM_URL"),
        ("fcm", {"FCM_CREDENTIALS_FILE": "/nowhere/account.json"}, "FCM_CREDENTIALS_FILE"),
        ("hms", {"HMS_APP_SECRET": "a secret of nobody"}, "HMS_APP_SECRET"),
        ("expo", {"EXPO_ACCESS_TOKEN": "a token of nobody"}, "EXPO_ACCESS_TOKEN"),
        ("webpush", {"WEBPUSH_SUBJECT": "mailto:a@localhost"}, "WEBPUSH_SUBJECT"),
        ("webpush", {"WEBPUSH_VAPID_KEY_FILE": __file__}, "WEBPUSH_VAPID_KEY_FILE"),
        ("webpush", {"WEBPUSH_ALLOWED_HOSTS": "https://x"}, "WEBPUSH_ALLOWED_HOSTS"),
        ("pigeon", {}, "NEWSZOP_PROVIDERS"),
    ],
)
def test_what_is_wrong_is_named(examine, name, changes, says):
    found = examine((name,), **changes)[name]
    assert not found.is_well
    assert says in found.sentence
    assert found.sentence.endswith(".")


def test_an_untrusted_server_is_a_matter_of_the_ca_file(examine):
    found = examine(("apns",), trusted=False)["apns"]
    assert not found.is_well
    assert "NEWSZOP_CA_FILE" in found.sentence


@pytest.mark.parametrize(
    ("verdict", "is_well"),
    [
        (Accepted(), True),
        (DeviceGone("no address of this environment", doubtful=True), True),
        (DeviceRefused("something else is wrong"), False),
        (AlertRejected("It is malformed."), False),
        (SenderRejected("Check it.", reach=Reach.DEVICE), False),
        (TryLater("answered 503"), False),
    ],
)
def test_only_an_acceptance_or_the_refusal_of_the_address_is_well(
    examine, monkeypatch, verdict, is_well
):
    monkeypatch.setattr(apns.Provider, "read_answer", lambda *_: [verdict])
    assert examine(("apns",))["apns"].is_well is is_well


def test_no_secret_shows_in_what_the_doctor_says(examine):
    secret = "a-token-that-nobody-may-see"
    said = examine(("expo", "hms"), EXPO_ACCESS_TOKEN=secret, HMS_APP_SECRET=secret)
    assert not any(secret in found.sentence for found in said.values())


@pytest.mark.parametrize(
    ("answer", "is_well"),
    [(200, True), (401, False), (None, True)],
    ids=["answers", "asks for a password", "is off"],
)
def test_the_doctor_asks_for_a_storys_page(monkeypatch, capsys, answer, is_well):
    def get(_address, **_options):
        if answer is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"items": [{"slug": "rain"}]})

    monkeypatch.setattr(doctor.httpx, "get", get)
    monkeypatch.setattr(story_page, "_ask", lambda _address: (answer, None))
    settings = SimpleNamespace(page_origin="http://site", public_url="http://site")
    assert doctor._check_page(settings) is is_well
    assert capsys.readouterr().out.startswith("page ")
