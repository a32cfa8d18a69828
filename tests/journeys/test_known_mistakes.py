"""What other push servers were seen to get wrong, tried on the whole system.

The README's table leads here. Each journey tells one provider or one device to misbehave.
"""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.delivery import delivery_ids
from tests.journeys.people import apns_address, fcm_address

PROVIDERS = ("apns", "fcm", "webpush")


@pytest.fixture
def phone(people):
    """A reader with one Apple device, which follows the topic."""
    reader = people.reader()
    reader.registers("apns", apns_address())
    reader.follows(people.topic)
    return reader


def address_of(reader):
    return reader.devices[0]["address"]


def pushed(system, alert, address):
    return system.pushes(alert_id=alert["id"], address=address)["items"]


def lost_since(at):
    """Apple's word that a device has been gone since then."""
    body = {"reason": "Unregistered", "timestamp": int(at.timestamp() * 1000)}
    return [{"status": 410, "body": body, "count": 1}]


@pytest.mark.parametrize(
    ("hours", "left"), [pytest.param(-1, 1, id="older"), pytest.param(1, 0, id="newer")]
)
def test_a_device_that_registered_after_apple_lost_it_is_kept(system, people, phone, hours, left):
    """Evidence that is older than the registration is about an earlier life of the device."""
    since = datetime.now(UTC) + timedelta(hours=hours)
    system.weather(provider="apns", address=address_of(phone), script=lost_since(since))
    report = system.finished(system.send(system.ingest(topics=[people.topic])))
    assert report["totals"]["gone"] == 1
    assert len(phone.call("GET", "/api/me/devices").json()["items"]) == left


def test_a_dead_device_is_asked_once_and_never_again(system, people, phone):
    """A second attempt would be accepted: the script has one answer."""
    since = datetime.now(UTC) + timedelta(minutes=1)
    system.weather(provider="apns", address=address_of(phone), script=lost_since(since))
    alert = system.send(system.ingest(topics=[people.topic]))
    assert system.finished(alert)["totals"]["gone"] == 1
    again = system.finished(system.send(system.ingest(headline="Later", topics=[people.topic])))
    assert again["totals"]["planned"] == 0
    assert system.pushes(address=address_of(phone))["count"] == 0


@pytest.mark.parametrize(("trouble", "arrivals"), [("lost", 2), ("reset", 1)])
def test_a_push_without_an_answer_comes_again_under_the_same_id(
    system, people, phone, trouble, arrivals
):
    system.weather(provider="apns", address=address_of(phone), share={trouble: 1})
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: system.alert(alert)["totals"]["retrying"] == 1, "it was tried")
    system.control.delete("/control/weather").raise_for_status()
    assert system.finished(alert)["totals"]["accepted"] == 1
    seen = pushed(system, alert, address_of(phone))
    assert len(seen) >= arrivals
    assert len({(push["delivery_id"], push["collapse_key"]) for push in seen}) == 1


def test_a_replay_has_the_id_that_the_delivery_had_from_the_first(system, people, phone):
    refusal = {"status": 400, "body": {"reason": "MissingDeviceToken"}, "count": 1}
    system.weather(provider="apns", script=[refusal])
    alert = system.send(system.ingest(topics=[people.topic]))
    assert system.finished(alert)["totals"]["buried"] == 1
    assert system.answer("POST", f"/api/alerts/{alert['id']}/replay")["devices"] == 1
    assert system.finished(alert)["totals"]["accepted"] == 1
    [push] = pushed(system, alert, address_of(phone))
    assert push["delivery_id"] == delivery_ids(int(alert["id"]))(int(phone.devices[0]["id"]))


def test_too_many_requests_are_waited_out_and_cut_nobody_off(system, people):
    """Every provider says once that it is too much, and how long to wait; then the next alert."""
    people.follower_on_all()
    for provider in PROVIDERS:
        system.weather(provider=provider, script=[{"status": 429, "retry_after": 2, "count": 1}])
    begin = datetime.now(UTC)
    alert = system.send(system.ingest(topics=[people.topic]))
    assert system.finished(alert)["totals"]["accepted"] == len(PROVIDERS)
    for push in system.pushes(alert_id=alert["id"])["items"]:
        assert datetime.fromisoformat(push["at"]) - begin >= timedelta(seconds=2), push["provider"]
    later = system.send(system.ingest(headline="Later", topics=[people.topic]))
    assert system.finished(later, within_s=20)["totals"]["accepted"] == len(PROVIDERS)


def test_a_provider_that_is_away_is_asked_again_later_and_not_at_once(system, people):
    people.follower_on_all()
    for provider in PROVIDERS:
        system.weather(provider=provider, script=[{"status": 503, "count": 1}])
    begin = datetime.now(UTC)
    alert = system.send(system.ingest(topics=[people.topic]))
    assert system.finished(alert)["totals"]["accepted"] == len(PROVIDERS)
    for push in system.pushes(alert_id=alert["id"])["items"]:
        assert datetime.fromisoformat(push["at"]) - begin >= timedelta(seconds=1), push["provider"]


def test_devices_in_trouble_spoil_no_other_of_their_batch(system, people):
    addresses = people.crowd({"fcm": 40})
    mine = {
        "gone": {"share": {"gone": 1}},
        "later": {"script": [{"status": 503, "retry_after": 1, "count": 1}]},
        "page": {"script": [{"status": 502, "body": "<html>", "count": 1}]},
        "cut": {"script": [{"status": 500, "body": '{"error": {"co', "count": 1}]},
    }
    for address, weather in zip(addresses, mine.values(), strict=False):
        system.weather(provider="fcm", address=address, **weather)
    alert = system.send(system.ingest(topics=[people.topic]))
    totals = system.finished(alert)["totals"]
    assert (totals["planned"], totals["accepted"], totals["gone"]) == (40, 39, 1)
    pushes = system.pushes(alert_id=alert["id"])["items"]
    assert Counter(push["address"] for push in pushes) == dict.fromkeys(addresses[1:], 1)


def test_send_push_answers_at_once_and_slow_providers_are_heard_out(system, people):
    """Three seconds are no failure: nothing is given up and nothing sent a second time."""
    people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    system.weather(latency_ms=3000)
    begin = time.monotonic()
    alert = system.send(story)
    assert time.monotonic() - begin < 2
    assert system.finished(alert)["totals"]["accepted"] == len(PROVIDERS)
    assert system.pushes(alert_id=alert["id"])["count"] == len(PROVIDERS)


def test_no_address_of_a_device_stands_in_any_log(system, people):
    addresses = people.crowd({"apns": 30, "fcm": 30})
    reader = people.follower_on_all()
    addresses += [device["address"] for device in reader.devices]
    trouble = {"429": 0.1, "503": 0.1, "gone": 0.1, "refused": 0.2, "reset": 0.1}
    system.weather(share=trouble, retry_after=1, seed=11)
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(
        lambda: system.alert(alert)["totals"]["pending"] == 0, "everything was tried once"
    )
    system.control.delete("/control/weather").raise_for_status()
    system.finished(alert)
    refused = reader.call("PUT", "/api/me/devices", json={"provider": "x", "address": addresses[0]})
    assert refused.status_code == 422
    logs = list(system.folder.rglob("*.log"))
    assert {"service.log", "worker.log", "worker-urgent.log"} <= {log.name for log in logs}
    for log in logs:
        written = log.read_text(errors="replace")
        assert not [address for address in addresses if address in written], log.name
    assert not [address for address in addresses if address in refused.text]


def test_an_address_nobody_may_have_is_never_registered(people):
    reader = people.reader()
    keys = people.browser()["keys"]
    for address in ("https://169.254.169.254/latest", "https://push.example.com/x", fcm_address()):
        told = {"provider": "webpush", "address": address, "keys": keys}
        assert reader.call("PUT", "/api/me/devices", json=told).status_code == 422
    assert reader.call("GET", "/api/me/devices").json()["items"] == []
