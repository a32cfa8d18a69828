"""A story comes in, Send Push, every follower's device has it: on real parts, end to end."""

import re
import threading
import time

import pytest


def adds_up(report):
    totals = report["totals"]
    states = [totals[name] for name in totals if name != "planned"]
    return totals["planned"] == sum(states)


def test_every_followers_device_has_the_alert_exactly_once(system, people):
    reader = people.follower_on_all()
    story = system.ingest(headline="Monsoon reaches the coast", topics=[people.topic])
    alert = system.send(story)
    report = system.finished(alert)
    assert report["state"] == "finished"
    assert report["totals"]["planned"] == report["totals"]["accepted"] == 3
    pushes = system.pushes(alert_id=alert["id"])
    assert pushes["count"] == pushes["devices"] == 3
    assert {item["provider"] for item in pushes["items"]} == {"apns", "fcm", "webpush"}
    for item in pushes["items"]:
        assert item["title"] == "Monsoon reaches the coast"
        assert item["url"] == story["url"]
        assert item["receipt"]
        assert item["delivery_id"]
    for device in reader.devices:
        told = system.answer("GET", f"/api/alerts/{alert['id']}/devices/{device['id']}")
        assert told["state"] == "accepted"
        assert told["provider"] == device["provider"]


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("मानसून तट पर पहुँचा", "भारी वर्षा से राहत; क्षेत्र में सतर्कता"),
        ("Storm ⛈️ over 🇮🇳", "Families 👨‍👩‍👧‍👦 leave 🏠 early"),
    ],
)
def test_hindi_and_emoji_arrive_intact_on_all_providers(system, people, title, body):
    people.follower_on_all()
    story = system.ingest(headline=title, summary=body, topics=[people.topic], language="hi")
    alert = system.send(story)
    system.finished(alert)
    items = system.pushes(alert_id=alert["id"])["items"]
    assert len(items) == 3
    assert {(item["title"], item["body"]) for item in items} == {(title, body)}


def test_two_simultaneous_send_pushes_create_one_alert(system, people):
    people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    barrier = threading.Barrier(2)
    answers = []

    def press():
        barrier.wait()
        answers.append(system.api.post(f"/api/stories/{story['id']}/alerts", json={}))

    editors = [threading.Thread(target=press) for _ in range(2)]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    first = next(a.json() for a in answers if a.status_code == 202)
    refused = next(a.json() for a in answers if a.status_code == 409)
    assert refused["first"]["id"] == first["id"]
    system.finished(first)
    assert system.pushes(alert_id=first["id"])["count"] == 3


def test_a_killed_worker_in_the_middle_leaves_nobody_out(system, people):
    addresses = people.crowd({"apns": 1500, "fcm": 1500})
    system.weather(latency_ms=600)
    story = system.ingest(topics=[people.topic])
    alert = system.send(story)
    system.await_true(
        lambda: system.alert(alert)["totals"]["accepted"] > 500, "the middle is reached"
    )
    system.kill("worker")
    system.start("worker")
    report = system.finished(alert, within_s=90)
    assert report["state"] == "finished"
    assert adds_up(report)
    assert report["totals"]["accepted"] == 3000
    assert system.pushes(alert_id=alert["id"], limit=1)["devices"] == len(set(addresses))


def test_one_answer_of_the_service_has_what_every_process_counted(system, people):
    people.crowd({"apns": 50})
    system.finished(system.send(system.ingest(topics=[people.topic])))
    text = system.api.get("/metrics").text
    for series in (
        'newszop_push_verdicts_total{app="apns",verdict="accepted"}',
        'newszop_push_seconds_count{app="apns"}',
        'newszop_provider_connections_total{app="apns",outcome="opened"}',
        'newszop_tasks_total{outcome="done",task="plan_alert"}',
        'newszop_tasks_total{outcome="done",task="sweep"}',
        'newszop_streams_total{end="empty"}',
        "newszop_state_write_seconds_count",
        'newszop_beat_messages_total{outcome="sent"}',
        'newszop_http_requests_total{method="POST",route="/api/stories",status="201"}',
    ):
        assert re.search(rf"^{re.escape(series)} [1-9]", text, re.MULTILINE), series


def test_a_dry_run_goes_the_whole_way_but_reaches_nobody(system, people):
    people.crowd({"apns": 50, "fcm": 50})
    story = system.ingest(topics=[people.topic])
    alert = system.send(story, dry_run=True)
    report = system.finished(alert)
    assert report["dry_run"] is True
    assert report["totals"]["accepted"] == 100
    assert set(report["by_provider"]) == {"apns", "fcm"}
    assert system.pushes(alert_id=alert["id"])["count"] == 0


def test_an_alert_nobody_waits_for_is_finished(system, people):
    story = system.ingest(topics=[people.topic])
    report = system.finished(system.send(story))
    assert report["state"] == "finished"
    assert report["totals"]["planned"] == 0


def test_gone_devices_are_forgotten_and_the_next_alert_leaves_them_out(system, people):
    people.crowd({"apns": 200, "fcm": 200})
    system.weather(share={"gone": 0.25}, seed=3)
    first = system.finished(system.send(system.ingest(topics=[people.topic])))
    gone = first["totals"]["gone"]
    assert 40 < gone < 160
    assert first["totals"]["accepted"] == 400 - gone
    system.control.delete("/control/weather")
    second = system.finished(system.send(system.ingest(headline="Later", topics=[people.topic])))
    assert second["totals"]["planned"] == second["totals"]["accepted"] == 400 - gone


def test_a_stopped_alert_stops_and_the_rest_is_cancelled_by_name(system, people):
    people.crowd({"apns": 3000, "fcm": 3000})
    # With few streams the alert would take half a minute: the stop meets it in its middle.
    system.weather(latency_ms=400, streams=10)
    alert = system.send(system.ingest(topics=[people.topic]))
    system.await_true(lambda: system.alert(alert)["totals"]["accepted"] > 100, "it runs")
    system.answer("POST", f"/api/alerts/{alert['id']}/stop")
    report = system.finished(alert)
    at_the_end = system.pushes(alert_id=alert["id"], limit=1)["count"]
    assert report["state"] == "stopped"
    assert report["totals"]["cancelled"] > 4000
    assert adds_up(report)
    assert report["totals"]["planned"] == 6000
    assert at_the_end < 2000
    time.sleep(1.0)
    assert system.pushes(alert_id=alert["id"], limit=1)["count"] == at_the_end
