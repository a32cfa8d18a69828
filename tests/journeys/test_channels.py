"""Breaking alerts and slow providers: who waits for whom."""

from tests.journeys.people import People


def test_a_breaking_alert_does_not_wait_behind_a_normal_one(system, people):
    people.crowd({"apns": 3000, "fcm": 3000})
    others = People(system)
    others.crowd({"apns": 100, "fcm": 100})
    system.weather(latency_ms=1200)
    normal = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: system.alert(normal)["totals"]["accepted"] > 100, "it runs")
    breaking = system.send(
        system.ingest(headline="Breaking", topics=[others.topic]), urgency="breaking"
    )
    report = system.finished(breaking)
    assert report["totals"]["accepted"] == 200
    assert system.alert(normal)["state"] == "sending", "the normal one ended first"
    assert system.finished(normal, within_s=90)["totals"]["accepted"] == 6000


def test_a_provider_that_hangs_holds_up_only_its_own_devices(system, people):
    people.crowd({"apns": 300, "fcm": 300})
    system.weather(provider="apns", latency_ms=8000)
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(
        lambda: system.alert(alert)["by_provider"].get("fcm", {}).get("accepted") == 300,
        "fcm is through",
        20,
    )
    assert system.alert(alert)["by_provider"]["apns"]["accepted"] == 0
    system.control.delete("/control/weather").raise_for_status()
    assert system.finished(alert, within_s=60)["totals"]["accepted"] == 600


def test_a_held_provider_waits_and_drains_by_itself_when_released(system, people):
    people.crowd({"apns": 100, "fcm": 100})
    system.answer("PUT", "/api/admin/providers/apns/hold", json={"reason": "a person's wish"})
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(
        lambda: system.alert(alert)["by_provider"].get("fcm", {}).get("accepted") == 100,
        "fcm is through",
    )
    report = system.alert(alert)
    assert report["by_provider"]["apns"]["pending"] == 100
    assert system.pushes(alert_id=alert["id"], provider="apns")["count"] == 0
    system.answer("DELETE", "/api/admin/providers/apns/hold")
    assert system.finished(alert)["totals"]["accepted"] == 200


def test_a_spread_alert_leaves_evenly_and_a_breaking_one_goes_before_it(system, people):
    addresses = people.crowd({"apns": 100, "fcm": 100})
    others = People(system)
    others.crowd({"apns": 20})
    story = system.ingest(topics=[people.topic])
    news = system.ingest(headline="Breaking", topics=[others.topic])
    spread = system.send(story, spread_seconds=12)
    breaking = system.send(news, urgency="breaking")
    assert system.finished(breaking)["totals"]["accepted"] == 20
    assert system.alert(spread)["state"] != "finished", "it left at once"
    report = system.finished(spread)
    assert report["totals"]["accepted"] == 200
    assert 3000 < report["timing"]["p50_ms"] < report["timing"]["last_ms"]
    assert report["timing"]["last_ms"] >= 8000
    pushes = system.pushes(alert_id=spread["id"], limit=200)
    assert sorted(item["address"] for item in pushes["items"]) == sorted(addresses)
