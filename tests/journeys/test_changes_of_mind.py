"""Corrected, corrected again, withdrawn, replayed: what stands on the screens in the end."""

from collections import Counter

import pytest

FIRST, SECOND, THIRD = "Rain", "Rain, corrected", "Rain, corrected twice"
PAGE = 200


def heard(system, alert):
    """Return the pushes of one alert by address, all pages of them."""
    found, after = Counter(), 0
    while True:
        items = system.pushes(alert_id=alert["id"], after=after, limit=PAGE)["items"]
        found.update(item["address"] for item in items)
        if len(items) < PAGE:
            return found
        after += PAGE


def in_the_middle(system, alert, at_least=300):
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] >= at_least, "the middle is reached"
    )


def withdraw(system, alert):
    words = {"title": "Withdrawn", "body": "We were wrong."}
    return system.answer("POST", f"/api/alerts/{alert['id']}/withdraw", json=words)


@pytest.fixture
def crowd(people):
    return set(people.crowd({"apns": 3000, "fcm": 3000}))


def test_a_correction_in_the_middle_leaves_everybody_with_the_new_text(system, people, crowd):
    system.weather(latency_ms=700)
    story = system.ingest(topics=[people.topic])
    first = system.send(story, title=FIRST)
    in_the_middle(system, first)
    second = system.send(story, update=True, title=SECOND)
    report = system.finished(second)
    assert system.finished(first)["state"] == "stopped"
    assert report["totals"]["accepted"] == report["totals"]["planned"] == len(crowd)
    assert heard(system, second) == dict.fromkeys(crowd, 1)
    assert set(heard(system, first)) <= set(crowd)


def test_a_withdrawal_reaches_whoever_has_any_version_and_nobody_else(system, people, crowd):
    system.weather(latency_ms=700)
    story = system.ingest(topics=[people.topic])
    first = system.send(story, title=FIRST)
    in_the_middle(system, first)
    second = system.send(story, update=True, title=SECOND)
    in_the_middle(system, second)
    last = withdraw(system, first)
    system.control.delete("/control/weather")
    report = system.finished(last)
    holders = set(heard(system, first)) | set(heard(system, second))
    assert holders <= set(crowd)
    assert set(heard(system, last)) == holders
    assert report["totals"]["accepted"] == report["totals"]["planned"] == len(holders)


def test_a_correction_of_a_correction_reaches_those_the_first_correction_missed(system, people):
    people.crowd({"apns": 300, "fcm": 300})
    story = system.ingest(topics=[people.topic])
    first = system.send(story, title=FIRST)
    assert system.finished(first)["totals"]["accepted"] == 600
    system.weather(share={"refused": 0.03}, seed=5)
    second = system.finished(system.send(story, update=True, title=SECOND))
    assert 0 < second["totals"]["accepted"] < 600
    system.control.delete("/control/weather")
    third = system.finished(system.send(story, update=True, title=THIRD))
    gone = second["totals"]["gone"]
    assert third["totals"]["accepted"] == 600 - gone
    assert third["totals"]["planned"] == 600


def test_what_was_buried_is_replayed_under_the_same_delivery_ids(system, people):
    crowd = people.crowd({"apns": 200})
    system.weather(script=[{"status": 400, "body": {"reason": "BadCollapseId"}, "count": 1}])
    story = system.ingest(topics=[people.topic])
    alert = system.send(story)
    before = system.finished(alert)["totals"]
    assert before["buried"] > 0
    again = system.answer("POST", f"/api/alerts/{alert['id']}/replay")
    assert again["devices"] == before["buried"]
    after = system.finished(alert)["totals"]
    assert after["buried"] == 0
    assert after["accepted"] == before["accepted"] + before["buried"]
    assert set(heard(system, alert)) <= set(crowd)
