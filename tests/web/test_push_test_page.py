"""Control's page of test pushes: what it refuses, what it records, and what it keeps to itself."""

import json
import subprocess
from dataclasses import asdict
from html import unescape
from typing import Any

import pytest
from sqlalchemy import Engine, text

from service.actions.apps import developer_pushes
from tests.web.conftest import Visitor
from workers.upkeep.single_push import PushOutcome
from workers.upkeep.verdict_words import Explanation

PAGE = "/control/test-push"
TOKEN = "ab" * 32
KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvT"
    "BHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAAAB"
OUTCOME = PushOutcome(
    explanation=Explanation("bad", "This address is dead.", "The app is gone.", "Register again."),
    status=410,
    answer='{"reason":"Unregistered"}',
    milliseconds=12,
)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the orders that the program gets; it answers each with `OUTCOME`."""
    taken: list[dict[str, Any]] = []

    def run(command: Any, **given: Any) -> Any:
        assert TOKEN not in str(command)
        taken.append(json.loads(given["input"]))
        return subprocess.CompletedProcess(command, 0, json.dumps(asdict(OUTCOME)), "")

    monkeypatch.setattr(subprocess, "run", run)
    return taken


def entries(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = "SELECT audit::text FROM audit WHERE verb = 'test push'"
        return [str(row) for row in connection.execute(text(query)).scalars()]


def test_one_push_is_recorded_without_its_address_and_its_answer_is_shown(
    admin: Visitor, engine: Engine, orders: list[dict[str, Any]], capfd: Any
) -> None:
    form = admin.get(f"{PAGE}?app=apns").text
    assert '<option value="apns" selected>' in form
    page = unescape(admin.submit(PAGE, app="apns", address=f" {TOKEN.upper()} ").text)
    assert "This address is dead." in page
    assert "Register again." in page
    assert '{"reason":"Unregistered"}' in page
    assert [order["target"]["address"] for order in orders] == [TOKEN]
    [entry] = entries(engine)
    assert "app:apns" in entry
    logs = "".join(capfd.readouterr())
    assert TOKEN not in (entry + logs).lower()


def test_a_browsers_whole_subscription_is_pasted(
    admin: Visitor, orders: list[dict[str, Any]]
) -> None:
    subscription = {"endpoint": ENDPOINT, "expirationTime": None, "keys": KEYS}
    admin.submit(PAGE, app="webpush", address=json.dumps(subscription))
    target = orders[0]["target"]
    assert (target["address"], target["p256dh"]) == (ENDPOINT, KEYS["p256dh"])
    assert target["vapid_key"]


def test_a_default_app_is_pushed_through_with_what_it_has_of_its_own(
    admin: Visitor, orders: list[dict[str, Any]]
) -> None:
    admin.submit(PAGE, app="apns", address=TOKEN)
    admin.submit("/control/apps/apns", **{"options.topic": "org.example.other"})
    admin.submit(PAGE, app="apns", address=TOKEN)
    assert orders[0]["app"] is None
    assert json.loads(orders[1]["app"]["options"]) == {"topic": "org.example.other"}


def test_what_cannot_be_pushed_to_is_refused_at_its_field_and_nothing_starts(
    admin: Visitor, engine: Engine, orders: list[dict[str, Any]]
) -> None:
    inside = json.dumps({"endpoint": "https://127.0.0.1/x", "keys": KEYS})
    for app, address, words in (
        ("apns", "not a token", "hexadecimal digits"),
        ("apns", "", "Paste an address"),
        ("webpush", ENDPOINT, "needs its keys"),
        ("webpush", '{"endpoint": ', "none: paste the whole"),
        ("webpush", inside, "address"),
        ("nothing", TOKEN, "Choose one of the apps"),
    ):
        answer = admin.submit(PAGE, app=app, address=address)
        assert answer.status_code == 422, (app, address)
        assert 'aria-invalid="true"' in answer.text
        assert words in unescape(answer.text)
    assert not orders
    assert not entries(engine)


def test_nobody_pushes_while_sending_is_paused_or_very_often(
    admin: Visitor, orders: list[dict[str, Any]]
) -> None:
    admin.submit("/control/pause", reason="Wait")
    paused = admin.submit(PAGE, app="apns", address=TOKEN)
    assert "All sending is paused" in paused.text
    admin.submit("/control/resume")
    statuses = [admin.submit(PAGE, app="apns", address=TOKEN).status_code for _ in range(13)]
    assert 429 in statuses
    assert len(orders) == statuses.count(200) < 13


def test_a_program_without_an_outcome_is_a_sentence(
    admin: Visitor, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(developer_pushes, "PROGRAM", ("/bin/sh", "-c", "cat >&2; exit 1"))
    answer = admin.submit(PAGE, app="apns", address=TOKEN)
    assert answer.status_code == 503
    assert "could not be made" in answer.text
    assert TOKEN not in "".join(capfd.readouterr())
