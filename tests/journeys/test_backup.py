"""The pause of all sending, and the drill: a backup of an hour ago, while alerts had gone out."""

import time

from typer.testing import CliRunner

from service.cli import app
from tests.journeys.people import soon
from tests.sample_pictures import photograph

DEVICES = {"apns": 600, "fcm": 300}
TOTAL = sum(DEVICES.values())


def newszop(system, *words):
    result = CliRunner().invoke(app, words, env=system.environment)
    assert result.exception is None, result.exception
    return result.stdout


def pushes(system, alert):
    return system.pushes(alert_id=alert["id"], limit=1)["count"]


def test_nothing_leaves_while_all_sending_is_paused_and_all_of_it_after(system, people):
    people.crowd(DEVICES)
    assert "paused" in newszop(system, "pause", "--reason", "a drill")
    alert = system.send(system.ingest(topics=[people.topic]), urgency="breaking")
    planned = lambda: system.alert(alert)["totals"]["planned"] == TOTAL  # noqa: E731 - one use
    system.await_true(planned, "it is planned and waits")
    time.sleep(1.2)
    assert pushes(system, alert) == 0
    warnings = system.answer("GET", "/health/ready")["warnings"]
    assert any(line.startswith("pause") and "a drill" in line for line in warnings)
    assert system.answer("GET", "/api/admin/pause")["reason"] == "a drill"
    assert "newszop_paused 1" in system.api.get("/metrics").text
    newszop(system, "resume")
    assert system.finished(alert)["totals"]["accepted"] == pushes(system, alert) == TOTAL
    assert system.answer("GET", "/api/admin/pause") == {
        "paused": False,
        "reason": None,
        "since": None,
        "held_by": None,
    }


def test_a_restored_backup_sends_nothing_again_until_a_person_decides(system, people, tmp_path):
    people.crowd(DEVICES)
    file = str(tmp_path / "backup")
    headers = {"Content-Type": "image/jpeg"}
    picture = system.answer("POST", "/api/media", content=photograph(), headers=headers)
    story = system.ingest(topics=[people.topic])
    later = system.send(system.ingest(topics=[people.topic]), send_at=soon(3600))
    past = system.send(system.ingest(topics=[people.topic]))
    system.finished(past)
    system.weather(provider="fcm", share={"503": 1.0}, retry_after=2)
    alert = system.send(story)
    system.await_true(lambda: system.alert(alert)["totals"]["accepted"] >= 600, "one is through")
    newszop(system, "backup", file)
    system.control.delete("/control/weather").raise_for_status()
    assert system.finished(alert)["totals"]["accepted"] == TOTAL
    sent = pushes(system, alert), pushes(system, past)
    assert sent == (TOTAL, TOTAL)

    output = newszop(system, "restore", file, "--yes")
    assert "1 alerts were not finished" in output
    served = system.api.get("/media/" + picture["url"].rpartition("/")[2])
    assert (served.status_code, served.headers["content-type"]) == (200, "image/jpeg")
    newszop(system, "resume")
    time.sleep(3.5)  # the sweep looks for lost work after 2 s
    report = system.alert(alert)
    assert (pushes(system, alert), pushes(system, past)) == sent
    assert report["state"] == "sending"
    assert report["restored_at"]
    assert system.alert(past)["state"] == "finished"
    assert "restored_at" not in system.alert(later)

    system.answer("POST", f"/api/alerts/{alert['id']}/continue")
    report = system.finished(alert)
    assert report["totals"]["accepted"] == TOTAL
    assert pushes(system, alert) - TOTAL == 300, "what was open in the backup, and no more"
    system.answer("POST", f"/api/alerts/{later['id']}/stop")
