"""One push to one address: what a developer reads of each provider's answer."""

import importlib
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.domain.verdict import Accepted, FollowUp, SenderRejected, TryLater
from service.settings import Settings
from tests.journeys.people import apns_address, expo_address, fcm_address, hms_address
from workers.provider import provider_names
from workers.standins.process import StandinsProcess
from workers.upkeep import single_push
from workers.upkeep.single_push import PushOutcome
from workers.upkeep.verdict_words import explain_verdict

Push = Callable[..., PushOutcome]
ADDRESSES = {
    "apns": apns_address,
    "fcm": fcm_address,
    "hms": hms_address,
    "expo": expo_address,
}


@pytest.fixture
def control(standins: StandinsProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=standins.control, timeout=30) as client:
        yield client
        client.delete("/control/weather").raise_for_status()


@pytest.fixture
def push(standins: StandinsProcess, monkeypatch: pytest.MonkeyPatch) -> Push:
    """Push once through a default app whose server is the stand-in."""

    def run(provider: str, address: str, **given: Any) -> PushOutcome:
        changes = given.pop("settings", {})
        for name, value in (standins.credentials | changes).items():
            monkeypatch.setenv(name, value)
        settings = Settings(
            _env_file=None,
            database_url="postgresql://nobody@127.0.0.1/none",
            redis_url="redis://127.0.0.1:1/0",
            secret_key="a secret that only tests know",
            providers=(provider,),
            ca_file=standins.ca_file,
            request_timeout_s=5,
        )
        nothing = dict.fromkeys(("kind", "p256dh", "auth", "vapid_key"))
        target = nothing | {"address": address} | given
        order = {"provider": provider, "app": None, "target": target}
        return single_push.carry_out(settings, json.loads(json.dumps(order)))

    return run


def test_every_provider_takes_the_push_and_says_so(push: Push, control: httpx.Client) -> None:
    for provider, make_address in ADDRESSES.items():
        address = make_address()
        outcome = push(provider, address)
        assert (outcome.explanation.tone, outcome.status) == ("good", 200)
        [item] = control.get("/control/pushes", params={"address": address}).json()["items"]
        assert "Test push" in json.dumps(item)


def test_a_browser_gets_it_encrypted_for_its_subscription(
    push: Push, control: httpx.Client
) -> None:
    answer = control.post("/control/subscriptions", json={"provider": "webpush"})
    browser = answer.json()["items"][0]
    outcome = push("webpush", browser["address"], **browser["keys"])
    assert (outcome.explanation.tone, outcome.status) == ("good", 201)
    parameters = {"address": browser["address"]}
    [item] = control.get("/control/pushes", params=parameters).json()["items"]
    assert "Test push" in json.dumps(item)


def test_a_dead_address_and_an_answer_that_never_comes_are_told_apart(
    push: Push, control: httpx.Client
) -> None:
    address = apns_address()
    for weather, status, tone, words in (
        ({"script": [{"status": "gone"}]}, 410, "bad", "This address is dead."),
        ({"script": [{"status": "429"}]}, 429, "wait", "does not take the push now"),
        (
            {"script": [{"status": 403, "body": '{"reason":"InvalidProviderToken"}'}]},
            403,
            "bad",
            "APNS_KEY_ID",
        ),
        (
            {"script": [{"status": 400, "body": '{"reason":"BadDeviceToken"}'}]},
            400,
            "bad",
            "sandbox",
        ),
    ):
        control.put("/control/weather", json={"address": address} | weather).raise_for_status()
        outcome = push("apns", address)
        explanation = outcome.explanation
        assert (outcome.status, explanation.tone) == (status, tone)
        assert words in f"{explanation.title} {explanation.meaning} {explanation.advice}"
    refused = push("apns", address, settings={"APNS_URL": "https://127.0.0.1:9"})
    assert (refused.status, refused.explanation.tone) == (0, "wait")


def test_no_push_goes_into_our_own_network(push: Push, control: httpx.Client) -> None:
    answer = control.post("/control/subscriptions", json={"provider": "webpush"})
    keys = answer.json()["items"][0]["keys"]
    for host in ("https://127.0.0.1:9/push", "https://localhost:9/push"):
        outcome = push("webpush", host, **keys, settings={"WEBPUSH_ALLOWED_HOSTS": "*"})
        assert outcome.status == 0
        assert "not public" in outcome.explanation.meaning


def test_an_answer_that_repeats_the_address_is_shown_without_it(
    push: Push, control: httpx.Client
) -> None:
    address = expo_address()
    body = json.dumps({"errors": [{"code": "X", "message": f"{address} is not registered"}]})
    script = {"address": address, "script": [{"status": 400, "body": body}]}
    control.put("/control/weather", json=script).raise_for_status()
    outcome = push("expo", address)
    assert address not in str(outcome)
    assert "[the address] is not registered" in outcome.answer


def test_every_documented_answer_has_words_and_what_to_do() -> None:
    count = 0
    for name in provider_names():
        reasons = getattr(importlib.import_module(f"workers.providers.{name}"), "REASONS", {})
        for verdict in reasons.values():
            words = explain_verdict(verdict)
            count += 1
            assert words.title.endswith(".")
            assert words.meaning.endswith(".")
            assert words.advice
            assert words.tone != "good"
    assert count > 40
    assert explain_verdict(Accepted()).tone == "good"
    assert "ticket" in explain_verdict(Accepted(FollowUp("t", timedelta(minutes=15)))).title
    assert "90 s" in explain_verdict(TryLater("busy", after=timedelta(seconds=90))).advice
    assert "may have arrived" in explain_verdict(TryLater("lost", unknown=True)).title
    assert explain_verdict(SenderRejected("")).meaning == "It gives no reason."
