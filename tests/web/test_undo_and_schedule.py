"""No alert is sent by mistake: a moment to undo, a time that has passed, moving, and the story."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from service.actions import estimates
from service.domain.alert import Alert, AlertState
from service.store.alerts import alerts, unfinished_alerts
from service.store.session import transaction
from tests import builders as a
from tests.web.conftest import Visitor

LATER = datetime.now(UTC) + timedelta(days=1)
UNDOABLE = pytest.mark.parametrize("settings", [{"undo_seconds": 10}], indirect=True)


@pytest.fixture
def story(ingest: Callable[..., dict[str, Any]]) -> str:
    return str(ingest("Rain", topics=["world/asia"])["id"])


def send(editor: Visitor, story: str, **fields: str) -> int:
    form = {"title": "Rain!", "body": "It pours.", "confirm": "yes", "counted": "0", "intent": "a"}
    answer = editor.submit(f"/desk/stories/{story}/push", **form | fields)
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rpartition("/")[2])


def read(engine: Engine, alert_id: int) -> Alert:
    with transaction(engine) as session:
        alert = alerts.get(session, alert_id)
    assert alert is not None
    return alert


@UNDOABLE
def test_an_undone_alert_reaches_nobody_and_its_words_are_back_in_the_form(
    editor: Visitor, story: str, engine: Engine
) -> None:
    alert_id = send(editor, story, audience="everyone")
    alert = read(engine, alert_id)
    assert alert.state is AlertState.SCHEDULED
    assert alert.send_at == alert.created_at + timedelta(seconds=10)
    assert "Leaves in" in editor.get(f"/desk/alerts/{alert_id}").text
    answer = editor.submit(f"/desk/alerts/{alert_id}/undo")
    form = editor.get(answer.headers["location"]).text
    assert 'value="Rain!"' in form
    assert re.search(r'value="everyone" checked', form)
    assert read(engine, alert_id).state is AlertState.STOPPED
    assert send(editor, story, intent="b") != alert_id


@UNDOABLE
def test_an_alert_that_nobody_undoes_leaves_without_a_check_of_its_page(
    editor: Visitor, story: str, engine: Engine
) -> None:
    alert_id = send(editor, story)
    with transaction(engine) as session:
        session.connection().exec_driver_sql("UPDATE alert SET send_at = now()")
        [due] = unfinished_alerts.alerts_to_start(session)
    assert (due.alert_id, due.undoable) == (alert_id, True)


@UNDOABLE
@pytest.mark.parametrize("fields", [{"urgency": "breaking"}, {"dry_run": "yes"}])
def test_breaking_alerts_and_dry_runs_leave_at_once(
    editor: Visitor, story: str, engine: Engine, fields: dict[str, str]
) -> None:
    assert read(engine, send(editor, story, **fields)).state is AlertState.PLANNING


@UNDOABLE
def test_an_alert_leaves_over_the_time_that_its_editor_chose(
    editor: Visitor, story: str, engine: Engine
) -> None:
    page = editor.get(f"/desk/stories/{story}/push").text
    assert "Over 15 minutes" in page
    assert "fewer than one open a second" in page
    alert_id = send(editor, story, audience="everyone", spread="900")
    assert read(engine, alert_id).spread == timedelta(minutes=15)
    assert "Evenly over 15 min" in editor.get(f"/desk/alerts/{alert_id}").text
    editor.submit(f"/desk/alerts/{alert_id}/undo")
    form = editor.get(f"/desk/stories/{story}/push?undone={alert_id}").text
    assert re.findall(r'value="(\d+)" data-label="[^"]+" checked', form) == ["900"]


def test_what_leaves_at_once_ignores_the_pace_that_its_form_hides(
    editor: Visitor, story: str, engine: Engine
) -> None:
    alert_id = send(editor, story, urgency="breaking", spread="900")
    assert read(engine, alert_id).spread == timedelta(0)


def test_an_alert_leaves_at_the_readers_local_time_and_its_day_can_be_moved(
    editor: Visitor, story: str, engine: Engine
) -> None:
    day = LATER.date() + timedelta(days=2)
    fields = {"when": "local", "local_time": "07:30", "local_day": f"{day}", "when_missed": "now"}
    alert_id = send(editor, story, audience="everyone", spread="900", **fields)
    alert = read(engine, alert_id)
    assert alert.local_release is not None
    assert (alert.local_release.day, alert.spread) == (day, timedelta(0))
    page = editor.get(f"/desk/alerts/{alert_id}").text
    assert f"07:30 where each reader is on {day:%A, %d %B %Y}" in page
    editor.submit(f"/desk/alerts/{alert_id}/schedule", day=f"{day + timedelta(days=1)}")
    moved = read(engine, alert_id)
    assert moved.send_at == alert.send_at + timedelta(days=1)
    assert moved.expires_at == alert.expires_at + timedelta(days=1)
    editor.submit(f"/desk/alerts/{alert_id}/schedule", now="yes")
    assert read(engine, alert_id).local_release is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"local_day": "2020-01-01"}, "01 January 2020 is over"), ({"local_time": ""}, "time of day")],
)
def test_a_local_time_that_cannot_be_is_refused_on_the_page(
    editor: Visitor, story: str, fields: dict[str, str], words: str
) -> None:
    form = {"confirm": "yes", "when": "local", "local_time": "07:00"} | fields
    answer = editor.submit(f"/desk/stories/{story}/push", **form)
    assert answer.status_code == 422
    assert words in answer.text


def test_the_page_says_in_words_when_a_local_time_comes(
    editor: Visitor, story: str, engine: Engine
) -> None:
    with transaction(engine) as session:
        for zone in ("Asia/Tokyo", "America/Los_Angeles"):
            a.a_device(session, a.a_reader(session, timezone=zone))
    fields = {"audience": "everyone", "when": "local", "local_time": "07:00"}
    look = editor.submit(f"/desk/stories/{story}/push/look", **fields).text
    assert re.search(r"at 07:00 where each reader is - first in [^(]+\((Tokyo|Los Angeles)\)", look)


def test_a_second_headline_is_tried_and_its_result_stands_on_the_alerts_page(
    editor: Visitor, story: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"second_title": "Floods", "test_share": "0.5", "test_minutes": "5"}
    form = {"confirm": "yes", "audience": "everyone"} | fields
    answer = editor.submit(f"/desk/stories/{story}/push", **form)
    assert answer.status_code == 422
    assert "too small to tell" in answer.text
    monkeypatch.setattr(estimates, "needed_devices", lambda _: 0)
    alert_id = send(editor, story, audience="everyone", **fields)
    assert "Floods" in editor.get(f"/desk/alerts/{alert_id}").text
    with transaction(engine) as session:
        session.connection().exec_driver_sql(
            f"INSERT INTO headline_choice VALUES ({alert_id}, 1, 'More opened it.')"
        )
    page = editor.get(f"/desk/alerts/{alert_id}").text
    assert "More opened it." in page
    assert re.search(r"Floods <span[^>]*>Chosen", page)


def test_a_time_that_has_passed_is_refused_and_nothing_is_sent(
    editor: Visitor, story: str, engine: Engine
) -> None:
    fields = {"confirm": "yes", "send_at": "2020-01-01T12:00", "zone": "Asia/Kolkata"}
    answer = editor.submit(f"/desk/stories/{story}/push", **fields)
    assert answer.status_code == 422
    assert "2020-01-01 12:00 (Asia/Kolkata) has passed" in answer.text
    with transaction(engine) as session:
        assert alerts.root_of_story(session, int(story)) is None


def test_a_scheduled_alert_is_moved_edited_and_let_go(
    editor: Visitor, story: str, engine: Engine
) -> None:
    alert_id = send(editor, story, send_at=f"{LATER:%Y-%m-%dT%H:%M}")
    page = f"/desk/alerts/{alert_id}/schedule"
    moved = f"{LATER + timedelta(hours=2):%Y-%m-%dT%H:%M}"
    editor.submit(page, title="Rain, later", body="", send_at=moved)
    alert = read(engine, alert_id)
    assert (alert.title, alert.body) == ("Rain, later", None)
    assert f"{alert.send_at:%Y-%m-%dT%H:%M}" == moved
    assert alert.send_at is not None
    assert alert.expires_at == alert.send_at + alert.ttl
    editor.submit(page, title="Rain, never", send_at="2020-01-01T00:00")
    assert read(engine, alert_id).title == "Rain, later"
    editor.submit(page, now="yes")
    with transaction(engine) as session:
        assert [due.alert_id for due in unfinished_alerts.alerts_to_start(session)] == [alert_id]


def test_a_correction_of_an_alert_corrects_its_story_too_if_the_editor_wants_it(
    editor: Visitor, story: str, visitor: Visitor
) -> None:
    send(editor, story)
    words = {"mode": "correct", "title": "Rain, not snow", "body": "Rain.", "intent": "b"}
    alert_id = send(editor, story, **words)
    assert "Rain, not snow" not in visitor.get("/").text
    assert "page keeps its text" in editor.get(f"/desk/alerts/{alert_id}").text
    send(editor, story, **words | {"intent": "c", "correct_story": "yes"})
    assert "Rain, not snow" in visitor.get("/").text
