"""Providers in trouble, and ourselves at fault: every device ends in one right state."""

import os
import time
from collections import Counter

import psycopg
import pytest

from service.domain.evidence import DOUBTS_THAT_HOLD

SLOW_DEVICES = 2000
"""Three windows full: at 6 s an answer, longer than a turn of a stream."""


DRILL_DEVICES = int(os.environ.get("DRILL_DEVICES", "3000"))
DRILL_S = float(os.environ.get("DRILL_S", "0"))
"""For how long the environment stays wrong; the full drill is 100,000 devices and 60 seconds."""


def live_devices(system, addresses):
    """How many of these addresses are still used."""
    with psycopg.connect(system.servers.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM device WHERE address = ANY(%s) AND gone_at IS NULL", (addresses,)
        ).fetchone()
    return row[0]


def suspects(system, addresses):
    """How many of these addresses are doubted."""
    with psycopg.connect(system.servers.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM device WHERE address = ANY(%s) AND suspect_at IS NOT NULL",
            (addresses,),
        ).fetchone()
    return row[0]


def providers(system):
    return {p["name"]: p for p in system.answer("GET", "/api/admin/providers")["items"]}


def leases(system, name):
    """How many batches of the provider are in hand."""
    with psycopg.connect(system.servers.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM batch WHERE provider = %s AND lease_token IS NOT NULL", (name,)
        ).fetchone()
    return row[0]


def release(system, name):
    """Release the provider when no stream is left that could hold it again by what it was told."""
    system.await_true(lambda: leases(system, name) == 0, "its streams have ended")
    if providers(system)[name]["held"]:
        system.answer("DELETE", f"/api/admin/providers/{name}/hold")


def await_all(system, alert, devices, within_s=60):
    """Wait until every device has accepted the alert.

    A shard may end with a batch of a few devices. Where another process than the one that finds out
    has it, it cannot tell whose fault it was: these are buried, and a person pushes them again.
    """
    buried = system.finished(alert, within_s=within_s)["totals"]["buried"]
    assert buried < DOUBTS_THAT_HOLD
    if buried:
        assert system.answer("POST", f"/api/alerts/{alert['id']}/replay")["devices"] == buried
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] == devices, "every device has it"
    )


@pytest.fixture
def mended(system):
    """Clears the sky and every hold afterwards, so that no journey leaves a mess to the next."""
    yield
    system.control.delete("/control/weather").raise_for_status()
    for name in ("apns", "fcm", "webpush"):
        release(system, name)


def always(provider, status, reason):
    """Weather in which a provider answers everything the same way."""
    entry = {"status": status, "body": {"reason": reason}, "count": 1_000_000}
    return {"provider": provider, "script": [entry]}


@pytest.mark.timeout(200)
def test_every_device_of_thousands_ends_in_one_right_state_in_foul_weather(system, people, mended):
    addresses = people.crowd({"apns": 1600, "fcm": 2400})
    shares = {"503": 0.10, "429": 0.05, "reset": 0.0005, "gone": 0.03, "refused": 0.02}
    for provider in ("apns", "fcm"):
        system.weather(provider=provider, share=shares, retry_after=1, seed=5)
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] > 3200, "most are served", 150
    )
    system.control.delete("/control/weather").raise_for_status()
    report = system.finished(alert, within_s=60)
    totals = report["totals"]
    assert totals["planned"] == 4000
    assert totals["accepted"] + totals["gone"] + totals["buried"] == 4000
    assert live_devices(system, addresses) == 4000 - totals["gone"]
    assert totals["gone"] > 80
    pushed = Counter()
    after = 0
    while after is not None:
        page = system.pushes(alert_id=alert["id"], after=after, limit=10_000)
        pushed.update(item["address"] for item in page["items"])
        after = page["next"]
    assert len(pushed) >= totals["accepted"]


def test_a_wrong_apns_environment_forgets_nobody_and_says_what_to_do(system, people, mended):
    addresses = people.crowd({"apns": 300})
    system.weather(**always("apns", 400, "BadDeviceToken"))
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: providers(system)["apns"]["held"], "apns is held")
    assert "environment" in providers(system)["apns"]["reason"]
    assert live_devices(system, addresses) == 300
    system.control.delete("/control/weather").raise_for_status()
    release(system, "apns")
    await_all(system, alert, 300)


@pytest.mark.timeout(200 + DRILL_DEVICES // 200)
def test_one_accepted_device_proves_nothing_when_the_environment_is_wrong(system, people, mended):
    addresses = people.crowd({"apns": DRILL_DEVICES})
    system.weather(**always("apns", 400, "BadDeviceToken"))
    system.weather(provider="apns", address=addresses[0], script=[{"status": 200, "count": 99}])
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: providers(system)["apns"]["held"], "apns is held")
    time.sleep(DRILL_S)
    system.control.delete("/control/weather").raise_for_status()
    release(system, "apns")
    await_all(system, alert, DRILL_DEVICES, within_s=60 + DRILL_DEVICES / 500)
    assert live_devices(system, addresses) == DRILL_DEVICES
    assert suspects(system, addresses) == 0


def test_readers_who_register_junk_hold_no_provider(system, people, mended):
    addresses = people.crowd({"apns": 40}, trusted=False)
    system.weather(**always("apns", 400, "BadDeviceToken"))
    alert = system.send(system.ingest(topics=[people.topic]))
    report = system.finished(alert)
    assert report["totals"]["buried"] == 40
    assert not providers(system)["apns"]["held"]
    assert live_devices(system, addresses) == 40


@pytest.mark.timeout(120)
def test_a_slow_provider_gets_every_push_once(system, people, mended):
    people.crowd({"apns": SLOW_DEVICES})
    system.weather(provider="apns", latency_ms=6000)
    story = system.ingest(topics=[people.topic])
    alert = system.send(story, urgency="normal")
    another = system.send(system.ingest(topics=[people.topic]), urgency="normal")
    for each in (alert, another):
        report = system.finished(each, within_s=100)
        assert report["totals"]["accepted"] == SLOW_DEVICES
        pushes = system.pushes(alert_id=each["id"], limit=1)
        assert (pushes["count"], pushes["devices"]) == (SLOW_DEVICES, SLOW_DEVICES)


def test_a_wrong_apns_environment_in_a_batch_of_five_forgets_nobody_either(system, people, mended):
    addresses = people.crowd({"apns": 5})
    system.weather(**always("apns", 400, "BadDeviceToken"))
    alert = system.send(system.ingest(topics=[people.topic]))
    report = system.finished(alert)
    assert report["totals"]["buried"] == 5
    assert live_devices(system, addresses) == 5
    system.control.delete("/control/weather").raise_for_status()
    assert system.answer("POST", f"/api/alerts/{alert['id']}/replay")["devices"] == 5
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] == 5, "the replay is accepted"
    )


def test_a_revoked_key_holds_the_provider_and_burns_nobodys_attempt(system, people, mended):
    addresses = people.crowd({"apns": 50, "fcm": 50})
    system.weather(**always("apns", 403, "InvalidProviderToken"))
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: providers(system)["apns"]["held"], "apns is held")
    system.await_true(
        lambda: system.alert(alert)["by_provider"]["fcm"]["accepted"] == 50, "fcm goes on"
    )
    reason = providers(system)["apns"]["reason"]
    assert reason.endswith(".")
    assert "key" in reason.lower()
    assert live_devices(system, addresses) == 100
    system.control.delete("/control/weather").raise_for_status()
    release(system, "apns")
    assert system.finished(alert)["totals"]["accepted"] == 100


def test_a_wrong_payload_ends_the_alert_on_that_provider_only(system, people, mended):
    addresses = people.crowd({"apns": 50, "fcm": 50})
    system.weather(**always("apns", 400, "BadCollapseId"))
    alert = system.send(system.ingest(topics=[people.topic]))
    report = system.finished(alert)
    assert report["by_provider"]["fcm"]["accepted"] == 50
    apns = report["by_provider"]["apns"]
    assert apns["buried"] > 0
    assert apns["buried"] + apns["cancelled"] == 50
    assert live_devices(system, addresses) == 100
    letters = system.answer("GET", f"/api/admin/dead-letters?alert={alert['id']}")["items"]
    assert sum(letter["devices"] for letter in letters) == apns["buried"]
    assert "BadCollapseId" in letters[0]["reason"] + letters[0]["answer"]


def test_one_devices_429_does_not_slow_the_others(system, people, mended):
    addresses = people.crowd({"apns": 200})
    system.weather(
        provider="apns",
        address=addresses[0],
        script=[
            {"status": 429, "body": {"reason": "TooManyRequests"}, "retry_after": 2, "count": 1}
        ],
    )
    report = system.finished(system.send(system.ingest(topics=[people.topic])))
    assert report["totals"]["accepted"] == 200
    assert report["timing"]["p90_ms"] < report["timing"]["last_ms"]
