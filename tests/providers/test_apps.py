"""An app's provider is made of the app's own values; a default app adds to the environment's."""

from datetime import UTC, datetime

import pytest

from service.domain.device import Registration
from service.domain.errors import Invalid
from tests.credentials import a_p256_key, pem
from workers.app_provider import load_app
from workers.provider import load_provider

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
OPTIONS = {"key_id": "ABCDE12345", "team_id": "TEAM123456", "topic": "org.example.sport"}


def key_text() -> str:
    return pem(a_p256_key()).decode()


def test_an_app_takes_nothing_from_the_environment(environment, monkeypatch):
    monkeypatch.setenv("APNS_URL", "https://push.example")
    app = load_app("sport-ios", "apns", {"key": key_text()}, OPTIONS)
    default = load_provider("apns")
    assert app.name == "sport-ios"
    assert default.name == "apns"
    assert app.settings.url == "https://api.push.apple.com" != default.settings.url
    assert app.credential_key() != default.credential_key()


@pytest.mark.parametrize(
    ("provider", "credentials", "options", "field"),
    [
        ("apns", {}, OPTIONS, "credentials.key"),
        ("apns", {"key": "no key"}, OPTIONS, "credentials.key"),
        ("apns", {"key": "x"}, {**OPTIONS, "key_file": "/etc/passwd"}, "options.key_file"),
        ("apns", {}, {**OPTIONS, "key": "x"}, "options.key"),
        ("apns", {"key": "K"}, {**OPTIONS, "topic": ""}, "options.topic"),
        ("fcm", {"service_account": "{}"}, {}, "credentials.service_account"),
        ("hms", {}, {"app_id": "1"}, "credentials.app_secret"),
        ("webpush", {"vapid_keys": ["no key"]}, {"subject": "mailto:a@b.org"}, "credentials.vapid"),
        ("webpush", {}, {"subject": "mailto:a@b.org"}, "credentials.vapid_keys"),
    ],
)
def test_a_wrong_value_is_named(environment, provider, credentials, options, field):
    if credentials.get("key") == "K":
        credentials = {"key": key_text()}
    with pytest.raises(Invalid) as refusal:
        load_app("sport", provider, credentials, options)
    assert refusal.value.field.startswith(field)
    assert "PRIVATE" not in str(refusal.value)


def test_no_key_is_seen_in_the_settings_of_an_app(environment):
    text = key_text()
    app = load_app("sport-ios", "apns", {"key": text}, OPTIONS)
    assert text.splitlines()[1] not in repr(app.settings)


def test_a_browser_is_pushed_to_with_the_key_that_it_subscribed_with(environment):
    newest, oldest = key_text(), key_text()
    options = {"subject": "mailto:push@example.org"}
    app = load_app("web", "webpush", {"vapid_keys": [newest, oldest]}, options)
    old = load_app("old", "webpush", {"vapid_keys": [oldest]}, options)
    ids = [each._keys.find_id(None) for each in (app, old)]
    signers = app._keys.signers("mailto:push@example.org", NOW)
    assert set(signers) == {None, *ids}
    assert signers[None] is signers[ids[1]]
    assert old.public_key in signers[ids[1]].authorization("https://push.example")
    assert app.public_key in signers[ids[0]].authorization("https://push.example")
    assert app._keys.find_id(old.public_key) == ids[1]


def test_the_environments_keys_come_after_a_default_apps_own(environment):
    before = load_provider("webpush").public_key
    app = load_app("webpush", "webpush", {"vapid_keys": [key_text()]}, {})
    assert app._keys.public_keys()[1:] == [before]


def test_a_subscription_with_a_key_of_nobody_is_refused(environment):
    app = load_app("web", "webpush", {"vapid_keys": [key_text()]}, {"subject": "mailto:a@b.org"})
    with pytest.raises(Invalid) as refusal:
        app._keys.find_id("B" * 87)
    assert refusal.value.field == "keys.vapid_key"
    assert Registration(provider="webpush", address="x").vapid_key is None
