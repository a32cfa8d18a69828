"""Apps over JSON: their credentials come in and never come out."""

import pytest
from sqlalchemy import text

from service.actions.apps.app_names import check_origins
from service.domain.delivery import State
from service.domain.errors import Invalid
from tests.builders import a_batch, a_story, an_alert
from tests.credentials import a_p256_key, pem

pytestmark = pytest.mark.usefixtures("providers")
OPTIONS = {"key_id": "ABCDE12345", "team_id": "TEAM123456", "topic": "org.example.sport"}
PATH = "/api/admin/apps"


def key_text() -> str:
    return pem(a_p256_key()).decode()


@pytest.fixture
def sport(client, as_admin):
    key = key_text()
    body = {"name": "sport-ios", "provider": "apns", "credentials": {"key": key}}
    answer = client.post(PATH, headers=as_admin, json=body | {"options": OPTIONS})
    assert answer.status_code == 201, answer.text
    return key


def test_a_default_app_stands_for_each_provider_and_a_new_one_beside_it(client, as_admin, sport):
    items = client.get(PATH, headers=as_admin).json()["items"]
    assert [(item["name"], item["provider"], item["is_default"]) for item in items] == [
        ("apns", "apns", True),
        ("fcm", "fcm", True),
        ("webpush", "webpush", True),
        ("sport-ios", "apns", False),
    ]
    assert items[-1]["options"] == OPTIONS
    assert items[-1]["reason"] is None


def test_credentials_are_sealed_and_never_shown(client, as_admin, sport, engine):
    secret = sport.splitlines()[1]
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT app::text FROM app")).scalars().all()
        entries = connection.execute(text("SELECT audit::text FROM audit")).scalars().all()
    answers = [client.get(path, headers=as_admin).text for path in (PATH, f"{PATH}/sport-ios")]
    assert not [each for each in (*rows, *entries, *answers) if secret in each]
    assert any("add app" in entry for entry in entries)


def test_new_credentials_are_kept_beside_the_others_and_end_a_workers_hold(
    client, as_admin, sport, engine
):
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO hold (provider, reason, held_by) VALUES ('sport-ios', 'x', 'worker')")
        )
    held = client.get(f"{PATH}/sport-ios", headers=as_admin).json()
    assert (held["held"], held["reason"]) == (True, "x")
    change = {"credentials": {"key": key_text()}, "options": {"topic": "org.example.new"}}
    answer = client.patch(f"{PATH}/sport-ios", headers=as_admin, json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["options"] == OPTIONS | {"topic": "org.example.new"}
    assert not answer.json()["held"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"credentials": {"key": "no key"}}, "credentials.key"),
        ({"options": {"key_id": "short"}}, "options.key_id"),
        ({"options": {"key_file": "/etc/passwd"}}, "options.key_file"),
        ({"options": {"topic": None}}, "options.topic"),
        ({"origins": ["https://news.example"]}, "origins"),
        ({"login_key": "too short"}, "login_key"),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(client, as_admin, sport, change, field):
    before = client.get(f"{PATH}/sport-ios", headers=as_admin).json()
    answer = client.patch(f"{PATH}/sport-ios", headers=as_admin, json=change)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert client.get(f"{PATH}/sport-ios", headers=as_admin).json() == before


@pytest.mark.parametrize("name", ["sport-ios", "apns", "expo"])
def test_a_name_is_taken_once(client, as_admin, sport, name):
    body = {"name": name, "provider": "apns", "credentials": {"key": sport}, "options": OPTIONS}
    assert client.post(PATH, headers=as_admin, json=body).status_code == 409


def test_a_default_web_app_takes_sites_and_keys_beside_the_environments(client, as_admin):
    change = {"origins": ["https://News.example/"], "credentials": {"vapid_keys": [key_text()]}}
    answer = client.patch(f"{PATH}/webpush", headers=as_admin, json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["origins"] == ["https://news.example"]
    assert client.patch(f"{PATH}/nobody", headers=as_admin, json={}).status_code == 404


@pytest.mark.parametrize(
    "origin",
    ["news.example", "https://news.example/path", "https://*", "null", "https://a@b", "ftp://a"],
)
def test_a_site_is_an_origin(origin):
    with pytest.raises(Invalid):
        check_origins([origin])
    assert check_origins(["HTTPS://A.example:443", "http://b.example:8080/"]) == (
        "https://a.example",
        "http://b.example:8080",
    )


def test_an_app_is_seen_among_its_providers_apps_and_in_the_metrics(
    client, as_admin, sport, session
):
    alert = an_alert(session, a_story(session), state="sending")
    a_batch(session, alert, [State.PENDING] * 3, provider="sport-ios")
    session.execute(text("INSERT INTO hold (provider, reason, held_by) VALUES ('apns', 'x', 'y')"))
    session.commit()
    items = client.get("/api/admin/providers", headers=as_admin).json()["items"]
    assert [(item["name"], item["provider"]) for item in items] == [
        ("apns", "apns"),
        ("fcm", "fcm"),
        ("webpush", "webpush"),
        ("sport-ios", "apns"),
    ]
    apps = [(app["name"], app["state"], app["cause"], app["waiting"]) for app in items[0]["apps"]]
    assert apps == [("apns", "held", "x", 0), ("sport-ios", "in_use", None, 3)]
    assert [app["name"] for app in items[-1]["apps"]] == ["sport-ios"]
    metrics = client.get("/metrics").text
    labels = 'app="sport-ios",provider="apns"'
    assert f'newszop_deliveries{{{labels},state="pending"}} 3.0' in metrics
    assert f"newszop_held{{{labels}}} 0.0" in metrics


def test_an_app_that_nothing_waits_for_can_be_held(client, as_admin, sport):
    path = "/api/admin/providers/sport-ios/hold"
    held = client.put(path, json={"reason": "Its key changes."}, headers=as_admin).json()
    assert (held["name"], held["state"], held["cause"]) == ("sport-ios", "held", "Its key changes.")
    assert client.delete(path, headers=as_admin).json()["state"] == "in_use"
