"""The JSON API as readers' apps rely on it: names, shapes and statuses, end to end."""

import json
from datetime import UTC, datetime, timedelta

from tests.journeys.people import apns_address, soon
from tests.journeys.shapes import (
    DEVICE,
    READER,
    SUBSCRIPTION,
    TOPIC,
    an_id,
    each,
    fits,
    page_of,
    refused,
    text,
)


def test_a_reader_sees_changes_and_erases_itself(people, anybody):
    made = anybody.post("/api/readers", json={"language": "hi", "timezone": "Asia/Kolkata"})
    assert made.status_code == 201
    assert fits(made.json(), {"id": an_id, "token": text})
    reader = people.reader()
    assert fits(reader.call("GET", "/api/me").json(), READER)
    hours = {"from": "22:00", "to": "07:00"}
    changed = reader.call("PATCH", "/api/me", json={"quiet_hours": hours})
    settings = {"id": reader.id, "language": "en", "languages": [], "timezone": "UTC"}
    settings |= {"alerts_per_day": None, "results": True, "digest": False}
    assert changed.json() == settings | {"quiet_hours": hours}
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
