"""The service's one door to the providers."""

import json
from pathlib import Path

import pytest

from service import provider_door
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.settings import Settings, SettingsError
from tests.credentials import a_p256_key, pem
from tests.providers.examples import ADDRESSES, alert_content
from workers import provider as providers


@pytest.fixture
def in_use(environment, monkeypatch):
    monkeypatch.setenv("NEWSZOP_PROVIDERS", "apns, fcm,webpush")
    return environment


def settings(*names: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url="postgresql://nobody@127.0.0.1/none",
        redis_url="redis://127.0.0.1/0",
        secret_key="a secret that only tests know",
        providers=names,
    )


def test_a_registration_is_checked_by_its_provider(in_use):
    given = Registration(provider="apns", address="AB" * 32)
    assert provider_door.check("apns", given).address == "ab" * 32


@pytest.mark.parametrize("name", ["hms", "pigeon", "", "../apns"])
def test_a_provider_that_is_not_in_use_is_refused(in_use, name):
    with pytest.raises(Invalid) as refused:
        provider_door.check(name, Registration(provider=name, address=ADDRESSES["hms"]))
    assert refused.value.field == "provider"


def test_each_provider_in_use_has_its_preview(in_use):
    found = provider_door.previews(alert_content(title="Rain"))
    assert set(found) == {"apns", "fcm", "webpush"}
    assert {preview.title for preview in found.values()} == {"Rain"}


def test_browsers_subscribe_with_the_key_of_the_file(in_use, monkeypatch, tmp_path):
    first = provider_door.vapid_public_key()
    assert first
    other = tmp_path / "vapid.pem"
    other.write_bytes(pem(a_p256_key()))
    monkeypatch.setenv("WEBPUSH_VAPID_KEY_FILE", str(other))
    assert provider_door.vapid_public_key() not in {first, None}


def test_without_web_push_there_is_no_key(in_use, monkeypatch):
    monkeypatch.setenv("NEWSZOP_PROVIDERS", "apns")
    assert provider_door.vapid_public_key() is None


def test_the_settings_of_every_provider_are_described(in_use):
    classes = provider_door.settings_classes()
    assert set(classes) == set(providers.provider_names())
    for name, cls in classes.items():
        assert cls.model_config["env_prefix"] == f"{name.upper()}_"
        assert cls.model_config["frozen"]
        assert all(field.description for field in cls.model_fields.values())


def test_a_start_with_sound_settings_passes(in_use):
    provider_door.start_check(settings("apns", "fcm", "webpush", "hms", "expo", "console"))


@pytest.mark.parametrize(
    ("names", "change", "line"),
    [
        (["pigeon"], {}, "NEWSZOP_PROVIDERS: there is no provider 'pigeon'"),
        ([], {}, "NEWSZOP_PROVIDERS: name at least one provider"),
        (["apns"], {"APNS_TOPIC": None}, "APNS_TOPIC: is missing"),
        (
            ["apns"],
            {"APNS_KEY_FILE": "/nowhere"},
            "APNS_KEY_FILE: names a file that cannot be read",
        ),
        (
            ["apns"],
            {"APNS_KEY_FILE": __file__},
            "APNS_KEY_FILE: names a file that holds no private",
        ),
        (["apns"], {"APNS_URL": "https://x.example/path"}, "APNS_URL: must be an origin"),
        (["apns"], {"APNS_URL": "x.example"}, "APNS_URL: must be an origin"),
        (["fcm"], {"FCM_PER_MINUTE": "0"}, "FCM_PER_MINUTE: "),
        (
            ["fcm"],
            {"FCM_CREDENTIALS_FILE": __file__},
            "FCM_CREDENTIALS_FILE: names a file that is no",
        ),
        (
            ["webpush"],
            {"WEBPUSH_ALLOWED_HOSTS": "a b"},
            "WEBPUSH_ALLOWED_HOSTS: 'a b' is not a host",
        ),
        (["webpush"], {"WEBPUSH_SUBJECT": "me"}, "WEBPUSH_SUBJECT: must be mailto:name@host"),
        (["hms"], {"HMS_APP_SECRET": ""}, "HMS_APP_SECRET: "),
        (["hms"], {"HMS_APP_ID": "1/2"}, "HMS_APP_ID: must be letters, digits"),
        (["apns"], {"APNS_TOPIC": "org.example.news\nx: y"}, "APNS_TOPIC: must be letters, digits"),
        (["apns"], {"APNS_TOPIC": " "}, "APNS_TOPIC: must be letters, digits"),
        (["apns"], {"APNS_KEY_ID": "ABC"}, "APNS_KEY_ID: must be ten letters and digits"),
        (["apns"], {"APNS_TEAM_ID": "TEAM12345-"}, "APNS_TEAM_ID: must be ten letters"),
        (["apns"], {"APNS_URL": "https://x.example\n.y"}, "APNS_URL: must be an origin"),
        (["apns"], {"APNS_URL": "https://x.example:99999"}, "APNS_URL: must be an origin"),
        (["expo"], {"EXPO_ACCESS_TOKEN": "a\nb"}, "EXPO_ACCESS_TOKEN: must be printable ASCII"),
    ],
)
def test_a_bad_start_is_told_in_one_line_that_names_the_setting(
    in_use, monkeypatch, names, change, line
):
    for name, value in change.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        provider_door.start_check(settings(*names))
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_every_setting_is_stripped(in_use, monkeypatch):
    names = ("apns", "fcm", "webpush", "hms", "expo")
    plain = {name: provider_door.settings_classes()[name]() for name in names}
    for name, value in in_use.items():
        monkeypatch.setenv(name, f" {value}\n")
    assert {name: provider_door.settings_classes()[name]() for name in names} == plain


def test_a_service_account_with_another_key_is_a_bad_setting(in_use, monkeypatch, tmp_path):
    account = json.loads(Path(in_use["FCM_CREDENTIALS_FILE"]).read_text())
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account | {"private_key": pem(a_p256_key()).decode()}))
    monkeypatch.setenv("FCM_CREDENTIALS_FILE", str(file))
    with pytest.raises(SettingsError, match=r"FCM_CREDENTIALS_FILE.*not an RSA key"):
        provider_door.start_check(settings("fcm"))


def test_settings_in_a_file_count_too(monkeypatch, tmp_path, configured):
    (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in configured.items()))
    monkeypatch.chdir(tmp_path)
    provider_door.start_check(settings("apns", "fcm"))
