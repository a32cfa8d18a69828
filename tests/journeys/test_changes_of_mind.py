"""Corrected, corrected again, withdrawn, replayed: what stands on the screens in the end."""

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.headlines.headline_test import HeadlineTest
from service.store.session import transaction
from tests.journeys.people import People, soon

FIRST, SECOND, THIRD = "Rain", "Rain, corrected", "Rain, corrected twice"
PAGE = 10_000


def pushes_of(system, alert):
    """Yield the pushes of one alert, all pages of them."""
    after = 0
    while True:
        items = system.pushes(alert_id=alert["id"], after=after, limit=PAGE)["items"]
        yield from items
        if len(items) < PAGE:
            return
        after += PAGE


def heard(system, alert):
    """Return the pushes of one alert by address."""
    return Counter(item["address"] for item in pushes_of(system, alert))


def in_the_middle(system, alert, at_least=300):
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] >= at_least, "the middle is reached"
    )


def withdraw(system, alert):
    words = {"title": "Withdrawn", "body": "We were wrong."}
    return system.answer("POST", f"/api/alerts/{alert['id']}/withdraw", json=words)


@pytest.fixture
def crowd(people):
    return set(people.crowd({"apns": 1500, "fcm": 1500}))


def test_a_correction_in_the_middle_leaves_everybody_with_the_new_text(system, people, crowd):
    system.weather(latency_ms=1400)
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
    system.weather(latency_ms=1400)
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


def change(system, *statements, **values):
    with transaction(system.engine) as session:
        for statement in statements:
            session.execute(text(statement), values)


def digest_of(system):
    """Return the newest digest, None while there is none."""
    with transaction(system.engine) as session:
        query = text("SELECT alert_id FROM digest WHERE alert_id IS NOT NULL")
        ids = session.execute(query).scalars().all()
    return {"id": str(ids[0])} if ids else None


@pytest.mark.skipif("KILLS" not in os.environ, reason="takes ten seconds: KILLS=1 runs it")
def test_a_worker_killed_amid_two_headlines_and_a_digest_tells_nobody_both_and_loses_nobody(
    system, people
):
    sleepers = People(system)
    asleep, awake = (set(one.crowd({"apns": 100, "fcm": 100})) for one in (sleepers, people))
    followers = """id IN (SELECT reader_id FROM subscription
        JOIN topic ON topic.id = topic_id WHERE topic.path = :topic)"""
    now = datetime.now(UTC)
    end = datetime.fromtimestamp(now.timestamp() // 300 * 300 - 300, UTC)
    night = {"begin": (end - timedelta(hours=5)).time(), "topic": sleepers.topic}
    nights = (
        f"UPDATE reader SET digest = true, quiet_from = :begin, quiet_to = :end WHERE {followers}"
    )
    change(system, nights, end=(now + timedelta(hours=5)).time(), **night)
    missed = system.send(system.ingest(topics=[sleepers.topic]))
    assert system.finished(missed)["left_out"]["quiet_hours"] == len(asleep)

    system.weather(provider="fcm", latency_ms=1200)
    story = system.ingest(topics=[people.topic])
    alert = system.send(story, title=FIRST, send_at=soon(3600))
    test = json.dumps(HeadlineTest(title=SECOND, share=0.3, minutes=10).to_json())
    change(
        system,
        "UPDATE alert SET headline_test = CAST(:t AS jsonb), send_at = now() WHERE id = :id",
        t=test,
        id=int(alert["id"]),
    )
    change(
        system,
        "DELETE FROM digest",
        "INSERT INTO digest (end_at, begin_at) VALUES (:last, :last)",
        nights,
        last=end - timedelta(minutes=5),
        end=end.time(),
        **night,
    )

    def is_amid():
        digest = digest_of(system)
        reports = [system.alert(one)["totals"] for one in (digest, alert) if one]
        amid = [0 < totals["accepted"] < totals["planned"] for totals in reports]
        return amid == [True, True]

    system.await_true(is_amid, "both are on their way", 20)
    digest = digest_of(system)
    system.kill("worker")
    system.control.delete("/control/weather").raise_for_status()
    system.start("worker")
    assert system.finished(digest)["totals"]["accepted"] == len(asleep)
    assert set(heard(system, digest)) == asleep
    change(
        system,
        "UPDATE alert SET started_at = started_at - interval '1 hour' WHERE id = :id",
        id=int(alert["id"]),
    )
    assert system.finished(alert)["totals"]["accepted"] == len(awake)
    titles = {}
    for push in pushes_of(system, alert):
        titles.setdefault(push["address"], set()).add(push["title"])
    assert set(titles) == awake
    assert {len(each) for each in titles.values()} == {1}, "somebody got both headlines"
    assert set.union(*titles.values()) == {FIRST, SECOND}
    change(system, f"UPDATE reader SET digest = false WHERE {followers}", topic=sleepers.topic)
