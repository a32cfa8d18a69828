"""The JSON API as programs outside rely on it: names, shapes and statuses, end to end."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from service.domain.people import Role, Scope
from service.store import people as staff
from service.store.session import transaction
from tests.journeys.people import apns_address
from tests.journeys.shapes import (
    ACCEPTED,
    DEAD_LETTER,
    DEVICE,
    INGESTED,
    OVERVIEW,
    PROVIDER,
    PUSH,
    READER,
    REPORT,
    STORY,
    SUBSCRIPTION,
    TOPIC,
    a_count,
    a_moment,
    an_id,
    each,
    fits,
    page_of,
    refused,
    text,
)

PASSWORD = "correct horse battery staple"


def soon(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def anybody(system):
    with httpx.Client(base_url=system.url, timeout=30) as client:
        yield client


@pytest.fixture
def with_scope(system):
    """Return what makes headers with a key of these scopes."""

    def headers(*scopes):
        with transaction(system.engine) as session:
            secret = staff.add_key(session, "a machine", frozenset(scopes))[1]
        return {"Authorization": f"Bearer {secret}"}

    return headers


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
        "exact": True,
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


def test_a_reader_sees_changes_and_erases_itself(people, anybody):
    made = anybody.post("/api/readers", json={"language": "hi", "timezone": "Asia/Kolkata"})
    assert made.status_code == 201
    assert fits(made.json(), {"id": an_id, "token": text})
    reader = people.reader()
    assert fits(reader.call("GET", "/api/me").json(), READER)
    hours = {"from": "22:00", "to": "07:00"}
    changed = reader.call("PATCH", "/api/me", json={"quiet_hours": hours})
    assert changed.json() == {"id": reader.id, "language": "en", "timezone": "UTC"} | {
        "quiet_hours": hours
    }
    reader.registers("apns", apns_address())
    reader.follows(people.topic, least_urgency="breaking")
    told = reader.call("GET", "/api/me/export").json()
    assert fits(told, READER | {"devices": each(DEVICE), "subscriptions": each(SUBSCRIPTION)})
    assert reader.devices[0]["address"] in json.dumps(told)
    assert reader.call("DELETE", "/api/me").status_code == 204
    refused(reader.call("GET", "/api/me"), 401)


def test_an_address_belongs_to_its_last_registrant(people):
    reader, other = people.reader(), people.reader()
    sent = {"provider": "apns", "address": apns_address()}
    statuses = [reader.call("PUT", "/api/me/devices", json=sent) for _ in range(2)]
    assert [answer.status_code for answer in statuses] == [201, 200]
    listed = reader.call("GET", "/api/me/devices")
    assert fits(listed.json(), page_of(DEVICE))
    assert sent["address"] not in listed.text
    moved = other.call("PUT", "/api/me/devices", json=sent)
    assert moved.status_code == 201
    assert reader.call("GET", "/api/me/devices").json()["items"] == []
    refused(reader.call("DELETE", f"/api/me/devices/{moved.json()['id']}"), 404)
    swapped = sent | {"address": apns_address(), "replaces": sent["address"]}
    assert other.call("PUT", "/api/me/devices", json=swapped).json() == moved.json()
    assert other.call("DELETE", f"/api/me/devices/{moved.json()['id']}").status_code == 204
    refused(other.call("PUT", "/api/me/devices", json=sent | {"address": "x"}), 422, "address")


def test_topics_are_followed_on_terms_and_so_is_a_story(system, people, anybody):
    reader = people.reader()
    story = system.ingest(topics=[people.topic])
    for path in (people.topic, f"story/{story['id']}"):
        answers = [reader.call("PUT", f"/api/me/subscriptions/{path}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 200]
        assert fits(answers[0].json(), SUBSCRIPTION)
    listed = reader.call("GET", "/api/me/subscriptions").json()
    assert fits(listed, page_of(SUBSCRIPTION))
    assert len(listed["items"]) == 2
    refused(reader.call("PUT", "/api/me/subscriptions/nobody/knows/this"), 404)
    refused(reader.call("PUT", "/api/me/subscriptions/story/1"), 404)
    topics = anybody.get("/api/topics", params={"limit": 200}).json()
    assert fits(topics, page_of(TOPIC))
    [own] = [topic for topic in topics["items"] if topic["path"] == people.topic]
    assert (own["parent"], own["followers"]) == ("journeys", 1)


def test_who_is_in_an_audience(system, people):
    reader, above = people.reader(), people.topic.rpartition("/")[0]
    reader.registers("apns", apns_address())
    story = system.ingest(topics=[people.topic])

    def reached(**given):
        path = f"/api/stories/{story['id']}/alerts/estimate"
        return system.answer("POST", path, json=given)["devices"]

    reader.follows(above)
    assert reached() == 1, "who follows a topic follows all below it"
    reader.follows(people.topic, muted_until=soon(600))
    assert reached(urgency="breaking") == 0, "a mute beats a follow of its ancestors"
    reader.follows(f"story/{story['id']}")
    assert reached() == 1, "any subscription suffices"
    reader.follows(f"story/{story['id']}", muted_until=soon(600))
    reader.follows(people.topic)
    assert reached() == 0, "a mute of the story beats all"
    reader.call("DELETE", f"/api/me/subscriptions/story/{story['id']}")
    reader.follows(above, least_urgency="breaking")
    reader.follows(people.topic, least_urgency="normal")
    assert (reached(), reached(urgency="quiet")) == (1, 0)
    now = datetime.now(UTC)
    hours = [(now + timedelta(hours=h)).strftime("%H:%M") for h in (-1, 1)]
    reader.call("PATCH", "/api/me", json={"quiet_hours": {"from": hours[0], "to": hours[1]}})
    assert (reached(), reached(urgency="breaking")) == (0, 1)
    reader.call("DELETE", "/api/me")


CALLS = [
    ("POST", "/api/stories", Scope.STORIES_WRITE),
    ("POST", "/api/stories/1/retract", Scope.STORIES_WRITE),
    ("POST", "/api/stories/1/alerts/estimate", Scope.ALERTS_WRITE),
    ("POST", "/api/stories/1/alerts", Scope.ALERTS_WRITE),
    ("GET", "/api/alerts", Scope.ALERTS_WRITE),
    ("GET", "/api/alerts/1", Scope.ALERTS_WRITE),
    ("GET", "/api/alerts/1/events", Scope.ALERTS_WRITE),
    ("GET", "/api/alerts/1/devices/1", Scope.ALERTS_WRITE),
    ("POST", "/api/alerts/1/stop", Scope.ALERTS_WRITE),
    ("POST", "/api/alerts/1/replay", Scope.ALERTS_WRITE),
    ("POST", "/api/alerts/1/withdraw", Scope.ALERTS_WRITE),
    ("POST", "/api/topics", Scope.ADMIN),
    ("GET", "/api/admin/queues", Scope.ADMIN),
    ("GET", "/api/admin/providers", Scope.ADMIN),
    ("PUT", "/api/admin/providers/apns/hold", Scope.ADMIN),
    ("DELETE", "/api/admin/providers/apns/hold", Scope.ADMIN),
    ("GET", "/api/admin/dead-letters", Scope.ADMIN),
    ("POST", "/api/admin/dead-letters/replay", Scope.ADMIN),
]
BODY = {"headline": "h", "body": "b", "title": "t", "path": "p", "reason": "r"}


def test_every_call_asks_for_its_scope(people, anybody, with_scope):
    token = {"Authorization": f"Bearer {people.reader().token}"}
    for method, path, scope in CALLS:
        lacking = with_scope(*(set(Scope) - {scope}))
        sent = None if method == "GET" else BODY
        refused(anybody.request(method, path, json=sent, headers=lacking), 403)
        refused(anybody.request(method, path, json=sent, headers=token), 401)
        refused(anybody.request(method, path, json=sent), 401)
    for path in ("/api/me", "/api/me/export", "/api/me/devices", "/api/me/subscriptions"):
        refused(anybody.get(path, headers=with_scope(*Scope)), 401)


def test_the_staff_cookie_reads_and_changes_nothing(system):
    with transaction(system.engine) as session:
        staff.add_staff(session, "reads@example.org", PASSWORD, Role.ADMIN)
    with httpx.Client(base_url=system.url, timeout=30) as browser:
        token = re.search(r'name="csrf"[^>]*value="([^"]+)"', browser.get("/login").text)
        form = {"email": "reads@example.org", "password": PASSWORD}
        browser.post("/login", data=form | ({"csrf": token[1]} if token else {}))
        for path in ("/api/alerts", "/api/admin/queues", "/api/admin/dead-letters"):
            assert browser.get(path).status_code == 200
        refused(browser.post("/api/topics", json={"path": "p"}), 401)
        refused(browser.delete("/api/admin/providers/apns/hold"), 401)


def test_an_admin_sees_what_waits_and_what_was_given_up(system, people):
    people.crowd({"apns": 2})
    assert fits(system.answer("GET", "/api/admin/queues"), OVERVIEW)
    assert fits(system.answer("GET", "/api/admin/providers"), page_of(PROVIDER))
    hold = "/api/admin/providers/webpush/hold"
    held = system.answer("PUT", hold, json={"reason": "maintenance"})
    assert (held["held"], held["reason"]) == (True, "maintenance")
    assert fits(held, PROVIDER | {"since": a_moment})
    assert system.answer("DELETE", hold)["held"] is False
    refused(system.api.put(hold, json={}), 422, "reason")
    refused(system.api.put("/api/admin/providers/nobody/hold", json={"reason": "r"}), 404)
    system.weather(script=[{"status": 413, "body": {"reason": "PayloadTooLarge"}, "count": 2}])
    alert = system.send(system.ingest(topics=[people.topic]))
    assert system.finished(alert)["totals"]["buried"] == 2
    which = {"alert": alert["id"], "provider": "apns"}
    letters = system.answer("GET", "/api/admin/dead-letters", params=which)
    assert fits(letters, page_of(DEAD_LETTER))
    assert sum(letter["devices"] for letter in letters["items"]) == 2
    assert system.answer("POST", "/api/admin/dead-letters/replay", json=which) == {"devices": 2}
    assert system.finished(alert)["totals"]["accepted"] == 2


def test_machines_that_watch_us_find_what_they_need(anybody):
    assert anybody.get("/health/live").status_code == 200
    ready = anybody.get("/health/ready")
    assert ready.status_code == 200
    assert fits(ready.json(), {"status": text, "warnings": each(text)})
    assert "# TYPE newszop_" in anybody.get("/metrics").text
    described = anybody.get("/openapi.json").json()["paths"]
    told = {re.sub(r"\{\w+(:path)?\}", "1", path) for path in described}
    assert {path.replace("/apns/", "/1/") for _, path, _ in CALLS} <= told
