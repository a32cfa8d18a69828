"""PostgreSQL or Redis stopped in its tracks: nobody hangs, and nothing that was promised is lost.

The figures are printed; what is asserted is the bound that the README names, with some room.
"""

import secrets
import time
from collections import Counter
from contextlib import contextmanager

import httpx

from tests.freezing import frozen
from tests.journeys.crowd import Waits, at_once
from tests.journeys.people import apns_address

BOUND_S = 5.0
SLACK_S = 3.0
"""What a shared machine may add."""


@contextmanager
def postgres_frozen(system):
    """Freeze it for the block; afterwards wait until calls are answered again, and say how long."""
    try:
        with frozen(system.servers.postgres):
            yield
    finally:
        thawed = time.monotonic()
        system.await_true(lambda: system.api.get("/api/topics").is_success, "it is back", 10)
    print(f"answered {time.monotonic() - thawed:.2f} s after the thaw")


def calls(system, story, reader):
    """One of each kind of call that needs the database."""
    own = {"Authorization": f"Bearer {reader.token}"}
    device = {"provider": "apns", "address": apns_address()}
    return [
        lambda: system.api.get("/api/topics"),
        lambda: system.api.get(f"/api/stories/{story['id']}"),
        lambda: system.api.post("/api/stories", json={"headline": "h", "body": "b"}),
        lambda: system.api.post("/api/readers", json={}),
        lambda: system.api.put("/api/me/devices", json=device, headers=own),
        lambda: system.api.get("/api/me/subscriptions", headers=own),
        lambda: system.api.get("/api/alerts"),
        lambda: system.api.get("/api/admin/queues"),
    ]


def refused_in_time(waits, bound_s=BOUND_S):
    assert set(waits.statuses) == {503}, str(waits)
    assert all(answer.headers.get("Retry-After") for answer in waits.answers)
    assert waits.longest < bound_s + SLACK_S, str(waits)


def test_no_call_hangs_on_a_frozen_postgres(system, people):
    every = calls(system, system.ingest(), people.reader())
    page = lambda: system.api.get("/topics", headers={"Accept": "text/html"})  # noqa: E731
    assert all(call().status_code < 500 for call in [*every, page])  # and warm connections
    with postgres_frozen(system):
        many = at_once(200, lambda i: every[i % len(every)]())
        print("200 at once, of all kinds:", many)
        refused_in_time(many)
        one, live, ready = Waits(), Waits(), Waits()
        one.add(page)
        live.add(lambda: system.api.get("/health/live"))
        ready.add(lambda: system.api.get("/health/ready"))
        print("one page:", one, "live:", live, "ready:", ready)
        refused_in_time(one)
        assert live.statuses == Counter({200: 1})
        assert live.longest < 1 + SLACK_S
        refused_in_time(ready)
        assert ready.answers[0].json()["missing"] == ["Postgres"]
    problem, shown = many.answers[0], one.answers[0]
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert shown.headers["Content-Type"].startswith("text/html")
    assert all(call().status_code < 500 for call in every)


def test_a_refused_alert_that_is_repeated_is_one_alert(system, people):
    people.crowd({"apns": 5})
    story = system.ingest(topics=[people.topic])
    path, key = f"/api/stories/{story['id']}/alerts", {"Idempotency-Key": secrets.token_hex(8)}
    with postgres_frozen(system):
        refused = at_once(4, lambda _: system.api.post(path, json={}, headers=key))
        refused_in_time(refused)
    repeated = [system.api.post(path, json={}, headers=key) for _ in range(3)]
    assert [answer.status_code for answer in repeated] == [202] * 3
    assert len({answer.json()["id"] for answer in repeated}) == 1
    alerts = system.answer("GET", "/api/alerts", params={"limit": 200})["items"]
    assert sum(alert["story_id"] == story["id"] for alert in alerts) == 1
    report = system.finished(repeated[0].json())
    assert report["totals"]["accepted"] == 5
    assert system.pushes(alert_id=report["id"])["count"] == 5


def test_a_page_in_a_rush_is_answered_from_memory_while_postgres_is_frozen(system):
    story = system.ingest()
    page = f"{system.url}/stories/{story['slug']}"

    def rush(seconds):
        waits = Waits()
        with httpx.Client(timeout=30) as visitor:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                waits.add(lambda: visitor.get(page))
        return waits

    assert set(rush(1.6).statuses) == {200}
    with postgres_frozen(system):
        at_once(20, lambda _: system.api.get("/api/topics"))  # by now it is known to be silent
        waits = rush(1.6)
    print("a page in a rush:", waits)
    assert set(waits.statuses) <= {200, 503}
    assert waits.statuses[200] > waits.statuses[503]


def everything_pushed(system, alert):
    """How often each address was pushed."""
    pushed, after = Counter(), 0
    while after is not None:
        page = system.pushes(alert_id=alert["id"], after=after, limit=10_000)
        pushed.update(item["address"] for item in page["items"])
        after = page["next"]
    return pushed


def test_workers_neither_send_on_nor_lose_while_postgres_is_frozen(system, people):
    people.crowd({"apns": 3000, "fcm": 3000})
    system.weather(latency_ms=250)
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: system.pushes(alert_id=alert["id"])["count"] > 300, "it runs")
    with postgres_frozen(system):
        time.sleep(1.5)  # a second in which the last write still counts, and those in flight
        before = system.pushes(alert_id=alert["id"])["count"]
        time.sleep(4)
        after = system.pushes(alert_id=alert["id"])["count"]
    report = system.finished(alert, within_s=90)
    pushed = everything_pushed(system, alert)
    twice = sum(pushed.values()) - len(pushed)
    print(f"{after - before} pushed meanwhile, {twice} pushed twice")
    assert after == before
    assert report["totals"]["accepted"] == len(pushed) == 6000
    assert twice <= 2000, "more than what can be in flight at two providers"


def test_an_alert_is_accepted_while_redis_is_frozen_and_leaves_when_it_wakes(system, people):
    people.crowd({"apns": 20, "fcm": 20})
    story = system.ingest(topics=[people.topic])
    waits = Waits()
    with frozen(system.servers.redis):
        waits.add(lambda: system.api.post(f"/api/stories/{story['id']}/alerts", json={}))
        waits.add(lambda: system.api.post(f"/api/stories/{system.ingest()['id']}/alerts", json={}))
        ready = system.api.get("/health/ready")
        thawed_at = time.monotonic() + 0.1
        time.sleep(0.1)
    print("Send Push while Redis is frozen:", waits)
    assert set(waits.statuses) == {202}
    assert waits.longest < 2 + SLACK_S
    assert (ready.status_code, ready.json()["missing"]) == (503, ["Redis"])
    report = system.finished(waits.answers[0].json())
    print(f"all of it accepted {time.monotonic() - thawed_at:.2f} s after the thaw")
    assert report["totals"]["accepted"] == 40
