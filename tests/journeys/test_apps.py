"""Several apps in one installation: each pushes with its own credentials, and stands for itself."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from service.cli import app as newszop
from tests.credentials import a_p256_key, pem
from tests.journeys.people import People, Reader, apns_address, fcm_address
from tests.system import System
from workers.provider_kit.encoding import base64url
from workers.provider_kit.encryption import encode_point
from workers.standins import process as standins
from workers.standins.process import StandinsProcess

CROWD = int(os.environ.get("APPS_DEVICES", "4000"))
"""Devices of the alert in whose middle the credentials change; 50,000 by hand."""
Browsers = Callable[..., list[dict[str, Any]]]
APPS = {"sport-ios": "apns", "sport-android": "fcm", "sport-web": "webpush"}


@pytest.fixture(scope="module")
def others(system: System) -> Iterator[StandinsProcess]:
    """Stand-ins on other ports, with keys of their own that the first ones refuse."""
    folder = system.folder / "other-standins"
    folder.mkdir()
    for name in ("ca.pem", "server.pem", "server.key"):
        shutil.copy(system.folder / "standins" / name, folder / name)
    with standins.start(folder) as running:
        yield running


def file_text(path: str) -> str:
    return Path(path).read_text()


def app_values(provider: str, known: dict[str, str]) -> dict[str, Any]:
    """What an app of these stand-ins takes."""
    match provider:
        case "apns":
            names = ("url", "key_id", "team_id", "topic")
            options = {name: known[f"APNS_{name.upper()}"] for name in names}
            return {"credentials": {"key": file_text(known["APNS_KEY_FILE"])}, "options": options}
        case "fcm":
            account = file_text(known["FCM_CREDENTIALS_FILE"])
            options = {"url": known["FCM_URL"], "ramp_seconds": 0}
            return {"credentials": {"service_account": account}, "options": options}
        case _:
            names = ("subject", "allowed_hosts")
            options = {name: known[f"WEBPUSH_{name.upper()}"] for name in names}
            keys = [file_text(known["WEBPUSH_VAPID_KEY_FILE"])]
            return {"credentials": {"vapid_keys": keys}, "options": options}


@pytest.fixture(scope="module")
def sport(system: System, others: StandinsProcess) -> dict[str, dict[str, Any]]:
    """Three apps beside the default ones."""
    values = {name: app_values(provider, others.credentials) for name, provider in APPS.items()}
    for name, provider in APPS.items():
        body = {"name": name, "provider": provider} | values[name]
        system.answer("POST", "/api/admin/apps", json=body)
    return values


def register_everywhere(people: People, others: StandinsProcess) -> Reader:
    reader = people.follower_on_all()
    reader.registers("apns", apns_address(), app="sport-ios")
    reader.registers("fcm", fcm_address(), app="sport-android")
    made = httpx.post(f"{others.control}/control/subscriptions", json={"provider": "webpush"})
    [browser] = made.raise_for_status().json()["items"]
    reader.registers("webpush", browser["address"], keys=browser["keys"], app="sport-web")
    return reader


def addresses(pushes: dict[str, Any]) -> list[str]:
    return sorted(item["address"] for item in pushes["items"])


def test_one_alert_reaches_every_app_with_its_own_credentials(system, people, others, sport):
    reader = register_everywhere(people, others)
    own = [device["address"] for device in reader.devices]
    alert = system.send(system.ingest(topics=[people.topic]))
    report = system.finished(alert)
    assert {name: totals["accepted"] for name, totals in report["by_app"].items()} == dict.fromkeys(
        (*APPS.values(), *APPS), 1
    )
    assert {name: totals["accepted"] for name, totals in report["by_provider"].items()} == (
        dict.fromkeys(APPS.values(), 2)
    )
    assert addresses(system.pushes(alert_id=alert["id"])) == sorted(own[:3])
    assert addresses(pushes_of(others, alert)) == sorted(own[3:])


def test_an_alert_for_some_apps_reaches_no_other(system, people, others, sport):
    register_everywhere(people, others)
    story = system.ingest(topics=[people.topic])
    draft = {"apps": ["sport-web", "fcm"]}
    path = f"/api/stories/{story['id']}/alerts/estimate"
    estimate = system.answer("POST", path, json=draft)
    assert estimate["by_app"] == {"fcm": 1, "sport-web": 1}
    assert estimate["by_provider"] == {"fcm": 1, "webpush": 1}
    assert system.answer("POST", path, json={"one_device": True})["devices"] == 1
    report = system.finished(system.send(story, **draft))
    assert report["apps"] == ["sport-web", "fcm"]
    assert set(report["by_app"]) == {"sport-web", "fcm"}
    assert report["totals"]["accepted"] == 2


def test_a_wrong_key_holds_its_own_app_and_forgets_nobody(system, people, others, sport):
    reader = register_everywhere(people, others)
    path = "/api/admin/apps/sport-ios"
    wrong = {"credentials": {"key": pem(a_p256_key()).decode()}}
    assert not system.answer("PATCH", path, json=wrong)["held"]
    alert = system.send(system.ingest(topics=[people.topic]), urgency="breaking")
    system.await_true(lambda: system.answer("GET", path)["held"], "the app is held")
    system.await_true(lambda: system.alert(alert)["totals"]["accepted"] == 5, "the others have it")
    held = {app["name"] for app in system.answer("GET", "/api/admin/apps")["items"] if app["held"]}
    assert held == {"sport-ios"}
    assert len(reader.call("GET", "/api/me/devices").json()["items"]) == 6
    system.answer("PATCH", path, json={"credentials": sport["sport-ios"]["credentials"]})
    assert system.finished(alert)["totals"]["accepted"] == 6


def test_credentials_that_change_in_the_middle_of_an_alert_lose_nothing(
    system, people, others, sport
):
    own = people.crowd({"apns": CROWD})
    with system.engine.begin() as connection:
        move = text("UPDATE device SET provider = 'sport-ios' WHERE address = ANY(:own)")
        connection.execute(move, {"own": own})
    weather = {"provider": "apns", "latency_ms": 400}
    httpx.put(f"{others.control}/control/weather", json=weather).raise_for_status()
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: system.alert(alert)["totals"]["accepted"] > 0, "it is on its way")
    first = app_values("apns", system.standins.credentials)
    try:
        system.answer("PATCH", "/api/admin/apps/sport-ios", json=first)
        report = system.finished(alert)
    finally:
        system.answer("PATCH", "/api/admin/apps/sport-ios", json=sport["sport-ios"])
        httpx.delete(f"{others.control}/control/weather")
    assert report["totals"]["accepted"] == CROWD
    before, after = pushes_of(others, alert), system.pushes(alert_id=alert["id"])
    assert before["count"] + after["count"] == CROWD
    assert min(before["count"], after["count"]) > 0


@pytest.fixture
def moved(system: System) -> tuple[Browsers, str, str]:
    """A web app that has another vendor's key as its older one, and two of that vendor's browsers.

    Returns what makes browsers, and the public keys of the app: the newest and the older one.
    """
    keys = [a_p256_key() for _ in range(2)]
    newest, older = (base64url(encode_point(key.public_key())) for key in keys)
    values = app_values("webpush", system.standins.credentials)
    values["credentials"] = {"vapid_keys": [pem(key).decode() for key in keys]}
    body = {"name": "moved-web", "provider": "webpush"} | values
    system.answer("POST", "/api/admin/apps", json=body)

    def subscribe(key: str, count: int = 1) -> list[dict[str, Any]]:
        wish = {"provider": "webpush", "application_server_key": key, "count": count}
        answer = system.control.post("/control/subscriptions", json=wish)
        return list(answer.raise_for_status().json()["items"])

    return subscribe, newest, older


def test_a_subscriber_of_another_vendor_is_pushed_to_with_its_key_and_renewed_under_ours(
    system, people, moved, tmp_path, monkeypatch
):
    subscribe, newest, older = moved
    first, second = subscribe(older, 2)
    lines = [
        json.dumps({"endpoint": one["address"], "keys": one["keys"], "tags": {"sport": 1}})
        for one in (first, second)
    ]
    export = tmp_path / "export.jsonl"
    export.write_text("\n".join([*lines, "broken"]))
    for name, value in system.environment.items():
        monkeypatch.setenv(name, value)
    options = ["--from", "webpush", "--app", "moved-web", "--vapid-key", older]
    options += ["--topic", f"sport={people.topic}"]
    result = CliRunner().invoke(newszop, ["readers", "import", str(export), *options])
    assert "2 readers added" in result.output

    old_addresses = sorted([first["address"], second["address"]])
    alert = system.send(system.ingest(topics=[people.topic]))
    assert system.finished(alert)["by_app"]["moved-web"]["accepted"] == 2
    assert addresses(system.pushes(alert_id=alert["id"])) == old_addresses

    reader = people.reader()  # the site's visitor: nobody has known it until now
    [renewed] = subscribe(newest)
    reader.registers(
        "webpush",
        renewed["address"],
        keys=renewed["keys"],
        replaces=first["address"],
        app="moved-web",
    )
    follows = reader.call("GET", "/api/me/subscriptions").json()["items"]
    assert [each["topic"] for each in follows] == [people.topic]
    alert = system.send(system.ingest(topics=[people.topic]))
    assert system.finished(alert)["by_app"]["moved-web"]["accepted"] == 2
    current = sorted([renewed["address"], second["address"]])
    assert addresses(system.pushes(alert_id=alert["id"])) == current


def pushes_of(others: StandinsProcess, alert: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.get(f"{others.control}/control/pushes", params={"alert_id": alert["id"]})
    return dict(answer.raise_for_status().json())
