"""The JSON API as the newsroom's programs rely on it: names, shapes and statuses, end to end."""

import json
import threading

import pytest

from tests.journeys.people import soon
from tests.journeys.shapes import (
    ACCEPTED,
    INGESTED,
    PUSH,
    REPORT,
    STORY,
    a_count,
    each,
    fits,
    page_of,
    refused,
    text,
)


def test_a_story_is_known_by_its_source_and_judged_by_its_version(system, people, anybody):
    def send(**given):
        told = {"headline": "Rain", "body": "It rains.", "source_uri": f"urn:{people.topic}"}
        answer = system.api.post("/api/stories", json=told | {"topics": [people.topic]} | given)
        assert fits(answer.json(), INGESTED)
        return answer.status_code, answer.json()["outcome"], answer.json()["version"]

    assert send(version=2) == (201, "created", 2)
    assert send(version=2) == (200, "unchanged", 2)
    assert send(version=1, headline="Old") == (200, "ignored", 2)
    assert send(version=2, headline="Other") == (200, "ignored", 2)
    assert send(headline="Newer") == (200, "updated", 3)
    [found] = anybody.get("/api/stories", params={"topic": people.topic}).json()["items"]
    assert fits(anybody.get(f"/api/stories/{found['id']}").json(), STORY | {"body": text})
    assert (found["headline"], found["url"]) == ("Newer", f"{system.url}/stories/{found['slug']}")
    for late in ({"state": "draft"}, {"embargo_until": soon(600)}):
        refused(anybody.get(f"/api/stories/{system.ingest(**late)['id']}"), 404)


def test_wrong_input_of_every_kind_is_a_problem_that_names_the_field(system, anybody):
    def story(**given):
        return system.api.post("/api/stories", json={"headline": "h", "body": "b"} | given)

    for name, wrong in (
        ("body", "x" * (2**20 + 1)),
        ("topics", ["story/1"]),
        ("urgency", 10),
        ("version", "two"),
        ("embargo_until", "2026-01-01T00:00:00"),
        ("state", "wild"),
        ("hedline", "x"),
    ):
        refused(story(**{name: wrong}), 422, name)
    refused(story(body="x" * 5 * 2**20), 413)
    json_type = {"Content-Type": "application/json"}
    refused(system.api.post("/api/stories", content="{", headers=json_type), 400)
    for name, wrong in (("timezone", "Mars/Base"), ("quiet_hours", {"from": "25:00", "to": "1"})):
        refused(anybody.post("/api/readers", json={name: wrong}), 422, name)
    for query, name in (("limit=201", "limit"), ("limit=0", "limit"), ("cursor=x", "cursor")):
        refused(anybody.get(f"/api/stories?{query}"), 422, name)
    refused(anybody.get("/api/stories/not-an-id"), 404)
    refused(anybody.get("/api/nowhere"), 404)
    refused(anybody.delete("/api/stories"), 405)


def test_an_oversized_request_without_a_length_leaves_no_dead_connection(system):
    def pieces():
        yield from [b" " * 2**20] * 5

    json_type = {"Content-Type": "application/json"}
    refused(system.api.post("/api/stories", content=pieces(), headers=json_type), 413)
    assert system.api.get("/health/live").status_code == 200, "on the same connection"


def test_pages_of_a_list_join_to_the_whole(system, people, anybody):
    sent = [system.ingest(headline=f"No {n}", topics=[people.topic])["id"] for n in range(5)]
    found, cursor = [], None
    while cursor is not None or not found:
        query = {"topic": people.topic, "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = anybody.get("/api/stories", params=query).json()
        assert fits(page, page_of(STORY))
        found += [story["id"] for story in page["items"]]
        cursor = page["next"]
    assert found == sent[::-1]
    following = anybody.get(f"/api/stories/{sent[1]}/next", params={"topic": people.topic})
    assert following.json()["id"] == sent[0]
    refused(anybody.get(f"/api/stories/{sent[0]}/next", params={"topic": people.topic}), 404)


def test_one_intent_is_one_alert(system, people):
    people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    path, key = f"/api/stories/{story['id']}/alerts", {"Idempotency-Key": people.topic}
    estimate = system.answer("POST", f"{path}/estimate", json={})
    assert estimate == {
        "devices": 3,
        "by_provider": {"apns": 1, "fcm": 1, "webpush": 1},
        "by_app": {"apns": 1, "fcm": 1, "webpush": 1},
        "exact": True,
        "left_out": {"quiet_hours": 0, "language": 0, "frequency": 0},
        "spread_seconds": 0,
        "open_share": 0.05,
        "opens_per_second": 0.0,
    }
    answers = []
    twins = [
        threading.Thread(target=lambda: answers.append(system.api.post(path, json={}, headers=key)))
        for _ in range(2)
    ]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join()
    first, again = (answer.json() for answer in answers)
    assert [answer.status_code for answer in answers] == [202, 202]
    assert fits(first, ACCEPTED)
    assert first == again
    refused(system.api.post(path, json={"urgency": "quiet"}, headers=key), 422)
    second = refused(system.api.post(path, json={}), 409)
    assert second["first"] == {"id": first["id"], "url": first["url"]}
    assert system.finished(first)["totals"]["accepted"] == 3


def test_an_alert_is_told_of_in_one_shape_everywhere(system, people):
    reader = people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    alert = system.send(story)
    report = system.finished(alert)
    assert fits(report, REPORT)
    assert (report["title"], report["body"]) == ("Rain at last", "It rains.")
    assert report["urgency"] == "normal"
    newest = system.answer("GET", "/api/alerts", params={"limit": 1})
    assert newest["items"] == [report]
    with system.api.stream("GET", f"/api/alerts/{alert['id']}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        last = [line for line in events.iter_lines() if line.startswith("data: ")][-1]
    assert json.loads(last.removeprefix("data: ")) == report
    for device in reader.devices:
        fate = system.answer("GET", f"/api/alerts/{alert['id']}/devices/{device['id']}")
        assert (fate["state"], fate["provider"]) == ("accepted", device["provider"])
        assert "reason" not in fate
    refused(system.api.get(f"/api/alerts/{alert['id']}/devices/1"), 404)


def test_a_push_carries_what_its_receipt_needs(system, people, anybody):
    people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    alert = system.send(story)
    system.finished(alert)
    pushes = system.pushes(alert_id=alert["id"])
    assert fits(pushes, {"count": a_count, "devices": a_count, "items": each(PUSH)})
    assert len({push["delivery_id"] for push in pushes["items"]}) == 3
    for push in pushes["items"]:
        assert push["url"] == story["url"]
        for kind in ("shown", "shown", "opened"):
            told = {"receipt": push["receipt"], "kind": kind}
            assert anybody.post("/api/receipts", json=told).status_code == 204
    last = push["receipt"][-1]
    forged = push["receipt"][:-1] + chr(ord(last) + 1)
    refused(anybody.post("/api/receipts", json={"receipt": forged, "kind": "shown"}), 403)
    assert system.alert(alert)["receipts"] == {"shown": 3, "opened": 3}


def test_an_alert_can_be_corrected_withdrawn_and_stopped(system, people):
    people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    refused(system.api.post(f"/api/stories/{story['id']}/alerts", json={"update": True}), 409)
    first = system.send(story)
    system.finished(first)
    second = system.send(story, update=True, title="Rain, corrected")
    assert system.finished(second)["totals"]["accepted"] == 3
    words = {"title": "Withdrawn", "body": "We were wrong."}
    answer = system.api.post(f"/api/alerts/{first['id']}/withdraw", json=words)
    assert answer.status_code == 202
    assert fits(answer.json(), ACCEPTED)
    assert system.finished(answer.json())["totals"]["accepted"] == 3
    seen = [system.pushes(alert_id=a["id"])["items"] for a in (first, second, answer.json())]
    keys = [{(push["address"], push["collapse_key"]) for push in pushes} for pushes in seen]
    assert keys[0] == keys[1] == keys[2]
    later = system.send(system.ingest(topics=[people.topic]), send_at=soon(3600))
    assert later["state"] == "scheduled"
    stopped = system.answer("POST", f"/api/alerts/{later['id']}/stop")
    assert fits(stopped, REPORT | {"stop_reason": text})
    assert stopped["state"] == "stopped"


@pytest.mark.parametrize(
    ("given", "asked", "status"),
    [
        ({"state": "draft"}, {}, 409),
        ({"expires_at": "2026-01-01T00:00:00+05:30"}, {}, 409),
        ({"embargo_until": soon(7200)}, {"send_at": soon(3600)}, 409),
        ({}, {"everyone": True, "topics": ["journeys"]}, 422),
        ({}, {"topics": ["nobody/knows/this"]}, 422),
        ({}, {"ttl_seconds": 28 * 86400 + 1}, 422),
        ({}, {"send_at": "2026-06-01T12:00:00"}, 422),
        ({}, {"locales": {"hi": {"title": "केवल शीर्षक"}}}, 422),
    ],
)
def test_an_alert_that_cannot_be_is_refused(system, people, given, asked, status):
    story = system.ingest(topics=[people.topic], **given)
    refused(system.api.post(f"/api/stories/{story['id']}/alerts", json=asked), status)
