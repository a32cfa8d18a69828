from datetime import UTC, datetime, timedelta

import pytest
import redis
from sqlalchemy import text

from service.domain.delivery import State
from service.store.operations import gauges, heartbeats, holds
from tests.builders import a_batch, a_story, an_alert

ADMIN_CALLS = [
    ("GET", "/api/admin/queues"),
    ("GET", "/api/admin/providers"),
    ("PUT", "/api/admin/providers/apns/hold"),
    ("DELETE", "/api/admin/providers/apns/hold"),
    ("GET", "/api/admin/audit"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_CALLS)
def test_only_admins_are_answered(client, as_editor, method, path):
    body = {"json": {"reason": "x"}} if method == "PUT" else {}
    assert client.request(method, path, headers=as_editor, **body).status_code == 403
    assert client.request(method, path, **body).status_code == 401


def provider(answer, name):
    return next(one for one in answer["providers"] if one["name"] == name)


def now():
    return datetime.now(UTC)


def test_what_waits_is_counted_in_deliveries_each_once(client, as_admin, session):
    alert = an_alert(
        session, a_story(session), state="sending", created_at=now() - timedelta(seconds=30)
    )
    three = [State.PENDING] * 3
    a_batch(session, alert, [*three, State.RETRYING, State.ACCEPTED])
    a_batch(
        session,
        alert,
        [State.PENDING] * 2,
        n=1,
        lease_token=5,
        claimable_at=now() + timedelta(seconds=20),
    )
    a_batch(session, alert, three, n=2, lease_token=5, claimable_at=now() - timedelta(seconds=1))
    a_batch(session, alert, [State.ACCEPTED], n=3)
    session.commit()
    answer = client.get("/api/admin/queues", headers=as_admin).json()
    waits = provider(answer, "apns")
    assert 30 <= waits.pop("oldest_seconds") < 60
    assert waits == {"name": "apns", "pending": 6, "leased": 2, "retrying": 1}
    assert provider(answer, "fcm") == {
        "name": "fcm",
        "pending": 0,
        "leased": 0,
        "retrying": 0,
        "oldest_seconds": 0.0,
    }


def test_messages_and_workers_are_seen(client, as_admin, app, session):
    redis.Redis.from_url(app.state.settings.redis_url).rpush("normal", "a", "b")
    heartbeats.beat(session, "worker-1", ["urgent", "normal"])
    session.execute(text("INSERT INTO worker VALUES ('dead', '{urgent}', now() - interval '61 s')"))
    session.commit()
    answer = client.get("/api/admin/queues", headers=as_admin).json()
    assert answer["queues"] == [
        {"name": "urgent", "messages": 0},
        {"name": "normal", "messages": 2},
        {"name": "strangers", "messages": 0},
    ]
    assert [(w["name"], w["queues"]) for w in answer["workers"]] == [
        ("worker-1", ["urgent", "normal"])
    ]


def test_a_hold_is_seen_written_down_and_released(client, as_admin, session):
    path = "/api/admin/providers/fcm/hold"
    held = client.put(path, json={"reason": "  key\n expired "}, headers=as_admin)
    assert held.status_code == 200
    assert held.json()["held"] is True
    assert held.json()["reason"] == "key expired"
    listed = client.get("/api/admin/providers", headers=as_admin).json()["items"]
    assert {p["name"]: p["held"] for p in listed} == {"apns": False, "fcm": True, "webpush": False}
    for _ in range(2):
        released = client.delete(path, headers=as_admin)
        assert released.status_code == 200
        assert released.json()["held"] is False
    deeds = client.get("/api/admin/audit", headers=as_admin).json()["items"]
    assert [(d["verb"], d["what"], d["name"]) for d in deeds] == [
        ("release", "provider:fcm", "admin"),
        ("hold", "provider:fcm", "admin"),
    ]
    assert deeds[1]["detail"]["reason"] == "key expired"


def test_a_release_wakes_what_waited_and_tells_the_workers(client, as_admin, app, session):
    alert = an_alert(session, a_story(session), state="sending", urgency=2)
    later = now() + timedelta(minutes=5)
    a_batch(session, alert, [State.RETRYING], claimable_at=later)
    a_batch(session, alert, [State.RETRYING], n=1, claimable_at=later, lease_token=7)
    a_batch(session, alert, [State.RETRYING], n=2, claimable_at=later, provider="fcm")
    session.commit()
    client.put("/api/admin/providers/apns/hold", json={"reason": "x"}, headers=as_admin)
    client.delete("/api/admin/providers/apns/hold", headers=as_admin)
    due = session.execute(text("SELECT n FROM batch WHERE claimable_at <= now()")).scalars().all()
    assert due == [0]
    assert redis.Redis.from_url(app.state.settings.redis_url).llen("urgent") == 1


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "x" * 501}, {"reason": 5}])
def test_a_hold_needs_a_reason(client, as_admin, body):
    answer = client.put("/api/admin/providers/fcm/hold", json=body, headers=as_admin)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "reason"


def test_a_provider_nobody_uses_is_not_found(client, as_admin):
    for name in ("hms", "%00", "x" * 300):
        path = f"/api/admin/providers/{name}/hold"
        assert client.put(path, json={"reason": "x"}, headers=as_admin).status_code == 404
        assert client.delete(path, headers=as_admin).status_code == 404


def test_the_pace_is_that_of_the_last_minute(session):
    begun = now() - timedelta(seconds=100)
    alert = an_alert(session, a_story(session), state="sending", created_at=begun)
    deliveries = [State.ACCEPTED] * 6 + [State.RETRYING, State.BURIED, State.PENDING]
    # Two were accepted 95 s ago and four 10 s ago.
    a_batch(session, alert, deliveries, progress=[5_000, 2, 90_000, 4], started_at=begun)
    a_batch(session, alert, deliveries, n=1, started_at=None)
    old = an_alert(session, a_story(session), state="finished", created_at=begun, finished_at=begun)
    a_batch(session, old, [State.BURIED], started_at=begun, finished_at=begun)
    found = gauges.pace(session)["apns"]
    assert found.accepted_per_second == pytest.approx(4 / 60, abs=0.01)
    assert found.error_share == pytest.approx(2 / 8)


def test_the_audit_trail_comes_in_pages_and_of_one_thing(client, as_admin):
    for path in ("a", "b", "a"):
        client.post("/api/topics", json={"path": path}, headers=as_admin)
    first = client.get("/api/admin/audit", params={"limit": 2}, headers=as_admin).json()
    rest = client.get(
        "/api/admin/audit", params={"limit": 2, "cursor": first["next"]}, headers=as_admin
    ).json()
    assert [d["what"] for d in first["items"] + rest["items"]] == ["topic:a", "topic:b", "topic:a"]
    assert rest["next"] is None
    only = client.get("/api/admin/audit", params={"what": "topic:b"}, headers=as_admin).json()
    assert len(only["items"]) == 1


def test_a_persons_hold_is_not_probed_and_not_overwritten_by_a_worker(session):
    holds.hold(session, "apns", "I said so", "ada@news.example")
    holds.hold(session, "apns", "403", holds.WORKER)
    assert holds.held(session)["apns"].reason == "I said so"
    session.execute(text("UPDATE hold SET probe_at = probe_at - interval '1 h'"))
    assert not holds.take_probe(session, "apns")


def test_a_workers_hold_is_probed_by_one_at_a_time(session):
    holds.hold(session, "apns", "403", holds.WORKER)
    assert not holds.take_probe(session, "apns")
    session.execute(text("UPDATE hold SET probe_at = probe_at - interval '1 h'"))
    assert holds.take_probe(session, "apns")
    assert not holds.take_probe(session, "apns")
    assert holds.release(session, "apns")
    assert not holds.take_probe(session, "apns")


MINUTES_AGO = datetime.now(UTC) - timedelta(minutes=3)


def provider_status(client, as_admin, name):
    items = client.get("/api/admin/providers", headers=as_admin).json()["items"]
    return next(item for item in items if item["name"] == name)


def fruitless(session, why, **batch):
    """An alert of which nothing was accepted in the three minutes since its first attempt."""
    alert = an_alert(session, a_story(session), state="sending", created_at=MINUTES_AGO)
    values = {"started_at": MINUTES_AGO} | batch
    a_batch(session, alert, [State.RETRYING] * 3, provider="fcm", **values)
    for position in range(3):
        session.execute(
            text("INSERT INTO retry VALUES (:a, 0, 0, :p, now(), :why)"),
            {"a": alert.id, "p": position, "why": why},
        )
    session.commit()


def test_a_provider_that_nothing_reaches_for_a_minute_is_failing_with_its_cause(
    client, session, as_admin
):
    fruitless(session, "not sent: the certificate is unknown")
    status = provider_status(client, as_admin, "fcm")
    assert (status["state"], status["cause"], status["waiting"]) == (
        "failing",
        "not sent: the certificate is unknown",
        3,
    )


def test_what_waits_for_the_end_of_a_pause_is_no_providers_failure(client, session, as_admin):
    fruitless(session, "not sent: the certificate is unknown")
    failing = 'newszop_failing{app="fcm",provider="fcm"} 1.0'
    assert failing in client.get("/metrics").text
    client.put("/api/admin/pause", headers=as_admin, json={"reason": "A restore"})
    assert provider_status(client, as_admin, "fcm")["state"] == "in_use"
    assert failing not in client.get("/metrics").text


def test_a_provider_that_has_just_begun_to_fail_or_accepts_others_is_in_use(
    client, session, as_admin
):
    now = datetime.now(UTC)
    fruitless(session, "HTTP 503", started_at=now)
    assert provider_status(client, as_admin, "fcm")["state"] == "in_use"
    session.execute(text("UPDATE batch SET started_at = :then"), {"then": MINUTES_AGO})
    session.commit()
    assert provider_status(client, as_admin, "fcm")["state"] == "failing"
    other = an_alert(session, a_story(session), state="sending", created_at=now)
    a_batch(
        session,
        other,
        [State.ACCEPTED, State.PENDING],
        provider="fcm",
        started_at=now,
        progress=[100, 60],
    )
    session.commit()
    status = provider_status(client, as_admin, "fcm")
    assert (status["state"], status["cause"]) == ("in_use", None)


def test_a_held_provider_says_why(client, session, as_admin):
    fruitless(session, "HTTP 503")
    client.put("/api/admin/providers/fcm/hold", json={"reason": "They asked."}, headers=as_admin)
    status = provider_status(client, as_admin, "fcm")
    assert (status["state"], status["cause"]) == ("held", "They asked.")
