"""The JSON API's scopes and what admins and monitors find in it, end to end."""

import re

import httpx
import pytest

from service.domain.people import Role, Scope
from service.store.session import transaction
from service.store.staff import accounts as staff
from tests.journeys.shapes import (
    DEAD_LETTER,
    OVERVIEW,
    PROVIDER,
    a_moment,
    each,
    fits,
    page_of,
    refused,
    text,
)

PASSWORD = "correct horse battery staple"


@pytest.fixture
def with_scope(system):
    """Return what makes headers with a key of these scopes."""

    def headers(*scopes):
        with transaction(system.engine) as session:
            secret = staff.add_key(session, "a machine", frozenset(scopes))[1]
        return {"Authorization": f"Bearer {secret}"}

    return headers


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
