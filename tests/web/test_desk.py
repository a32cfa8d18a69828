"""The editor's work: writing, revising, Send Push with its number, and what follows."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from service.domain.people import Role
from service.store.operations import heartbeats, process_leases
from service.store.schema import new_id
from service.store.session import transaction
from tests.web.conftest import Visitor

Ingest = Callable[..., dict[str, Any]]
STORY = {"headline": "Rain at last", "body": "First drops.\n\nThen more.", "topics": "world/asia"}
TOMORROW = datetime.now(UTC) + timedelta(days=2)


def id_in(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


def alerts(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT * FROM alert ORDER BY created_at")))


def push(editor: Visitor, story_id: str, **given: Any) -> httpx.Response:
    """Fill the form as the page shows it, with what the test changes, and send it."""
    page = editor.get(f"/desk/stories/{story_id}/push").text
    fields: dict[str, Any] = dict(
        re.findall(r'<input type="hidden" name="(intent|csrf|counted|mode)" value="([^"]*)"', page)
    )
    chosen = re.search(r'name="mode" value="(\w+)" checked', page)
    fields |= {"mode": chosen[1]} if chosen else {}
    fields |= {"title": "It rains", "body": "Everywhere.", "confirm": "yes", "urgency": "normal"}
    return editor.post(f"/desk/stories/{story_id}/push", data=fields | given)


@pytest.fixture
def story(ingest: Ingest) -> str:
    return str(ingest("Rain", topics=["world/asia"])["id"])


@pytest.fixture
def follower(ingest: Ingest, story: str) -> None:
    """A reader with one device who follows the story's topic."""
    machine = ingest.machine  # type: ignore[attr-defined]
    token = machine.post("/api/readers", headers={"Authorization": ""}).json()["token"]
    reader = {"Authorization": f"Bearer {token}"}
    device = {"provider": "apns", "address": "a" * 64}
    assert machine.put("/api/me/devices", json=device, headers=reader).status_code == 201
    assert machine.put("/api/me/subscriptions/world", headers=reader, json={}).status_code == 201


def test_a_story_is_written_as_a_draft_and_then_published(
    editor: Visitor, visitor: Visitor
) -> None:
    draft = id_in(editor.submit("/desk/stories/new", **STORY, do="draft"))
    assert "Rain at last" in editor.get("/desk?state=draft").text
    assert "Rain at last" not in visitor.get("/").text
    editor.submit(f"/desk/stories/{draft}", **STORY, do="publish", version=1)
    assert "Rain at last" in visitor.get("/").text
    assert "Rain at last" not in editor.get("/desk?state=draft").text


def test_saving_says_what_it_has_done(editor: Visitor) -> None:
    story = id_in(editor.submit("/desk/stories/new", **STORY, do="draft"))
    page = editor.get(f"/desk/stories/{story}").text
    assert "Saved as a draft." in page
    for fields, words in (
        ({"do": "publish"}, "The story is published."),
        ({"do": "publish"}, "Nothing had changed."),
        ({"do": "publish", "summary": "It pours."}, "Saved, as version"),
        ({"do": "correct", "summary": "It drips."}, "The correction is published, as version"),
    ):
        version = re.search(r'name="version" value="(\d+)"', page)
        assert version
        editor.submit(f"/desk/stories/{story}", **STORY | fields, version=version[1])
        page = editor.get(f"/desk/stories/{story}").text
        assert words in page


def test_the_desk_offers_no_push_for_a_story_that_is_not_published(editor: Visitor) -> None:
    story = id_in(editor.submit("/desk/stories/new", **STORY, do="draft"))
    push_page = f'href="/desk/stories/{story}/push"'
    assert push_page not in editor.get("/desk").text
    editor.submit(f"/desk/stories/{story}", **STORY, do="publish", version=1)
    assert push_page in editor.get("/desk").text


def test_paragraphs_of_plain_text_become_paragraphs(editor: Visitor, visitor: Visitor) -> None:
    editor.submit("/desk/stories/new", **STORY, do="publish")
    slug = re.search(r'href="/stories/([^"]+)"', visitor.get("/").text)
    assert slug
    page = visitor.get(f"/stories/{slug[1]}").text
    assert "<p>First drops.</p>" in page
    assert "<p>Then more.</p>" in page


def test_a_wrong_field_is_named_and_nothing_typed_is_lost(editor: Visitor) -> None:
    wrong = STORY | {"topics": "Not A Topic!", "summary": "Kept."}
    answer = editor.submit("/desk/stories/new", **wrong, do="publish")
    assert answer.status_code == 422
    assert "is not a topic path" in html.unescape(answer.text)
    assert "First drops." in answer.text
    assert "Kept." in answer.text
    assert "Rain at last" not in editor.get("/desk").text


def test_two_editors_do_not_overwrite_one_another(editor: Visitor, story: str) -> None:
    first = STORY | {"headline": "Mine", "version": "1", "do": "publish"}
    assert editor.submit(f"/desk/stories/{story}", **first).status_code == 303
    answer = editor.submit(f"/desk/stories/{story}", **(first | {"headline": "Theirs"}))
    assert answer.status_code == 422
    assert "editor@news.example saved version 2" in answer.text
    assert "<del>Mine</del><ins>Theirs</ins>" in answer.text
    assert 'name="version" value="1"' in answer.text
    assert "Mine" in editor.get("/desk").text
    over = first | {"headline": "Theirs", "over": "2", "do": "draft"}
    assert editor.submit(f"/desk/stories/{story}", **over).status_code == 303
    assert "Theirs" in editor.get("/desk").text


def test_autosaved_text_keeps_the_version_it_began_from(
    editor: Visitor, story: str, make_staff: Callable[[str, Role], Visitor]
) -> None:
    typed = STORY | {"headline": "Old text", "version": "1"}
    editor.submit(f"/desk/stories/{story}/autosave", **typed)
    other = make_staff("other", Role.EDITOR)
    other.submit(f"/desk/stories/{story}", **STORY, version="1", do="publish")
    answer = editor.submit(f"/desk/stories/{story}/autosave", **typed)
    assert answer.json()["version"] == 2
    page = editor.get(f"/desk/stories/{story}").text
    assert "other@news.example saved version 2" in page
    assert 'name="version" value="1"' in page


def test_a_drafts_new_topic_is_nobodys_until_the_story_is_out(
    editor: Visitor, visitor: Visitor
) -> None:
    secret = STORY | {"topics": "secret-plans"}
    draft = editor.submit("/desk/stories/new", **secret, do="draft").headers["location"]
    assert "secret-plans" not in visitor.get("/topics").text
    assert "Secret plans" not in editor.get(f"{draft}/push").text
    editor.submit(draft, **secret, do="publish", version=1)
    assert "/topics/secret-plans" in visitor.get("/topics").text


def test_revisions_are_shown_side_by_side(editor: Visitor, story: str) -> None:
    changed = {"headline": "Rain, finally", "body": "<p>It rains hard.</p>", "version": "1"}
    editor.submit(f"/desk/stories/{story}", **changed, do="publish")
    page = editor.get(f"/desk/stories/{story}/revisions").text
    assert "<ins>" in page
    assert "<del>" in page
    assert "editor@news.example" in page
    assert editor.get(f"/desk/stories/{story}/revisions?left=2&right=1").status_code == 200
    assert editor.get(f"/desk/stories/{story}/revisions?left=99&right=98").status_code == 200


def test_typed_text_is_autosaved_until_the_story_is_saved(
    editor: Visitor, story: str, make_staff: Callable[[str, Role], Visitor]
) -> None:
    typed = {"headline": "Half a headli", "body": "<p>Half</p>", "topics": "world/asia"}
    assert editor.submit(f"/desk/stories/{story}/autosave", **typed).status_code == 200
    assert "Half a headli" in editor.get(f"/desk/stories/{story}").text
    other = make_staff("other", Role.EDITOR).get(f"/desk/stories/{story}").text
    assert "Half a headli" not in other
    assert "editor@news.example has unsaved changes here" in other
    editor.submit(f"/desk/stories/{story}", **typed, version="1", do="publish")
    editor.submit("/desk/stories/new/autosave", headline="Another")
    assert "Another" in editor.get("/desk/stories/new").text
    editor.submit("/desk/stories/new/throw-away")
    assert "Another" not in editor.get("/desk/stories/new").text


def test_the_push_page_shows_words_audience_and_previews(
    editor: Visitor, story: str, follower: None
) -> None:
    page = editor.get(f"/desk/stories/{story}/push").text
    assert 'data-devices="1"' in page
    assert re.search(r"\d+ of 4,096 bytes", page)
    assert 'value="Rain"' in page


def test_previews_are_shown_for_providers_with_an_audience(
    editor: Visitor, story: str, follower: None
) -> None:
    def previewed(**chosen: str) -> list[str]:
        look = editor.submit(f"/desk/stories/{story}/push/look", urgency="normal", **chosen)
        return re.findall(r'screen-caption"><span>([^<]+)<', look.text)

    assert len(previewed()) == 1
    assert {"iPhone and iPad", "Android", "Browsers"} <= set(
        previewed(audience="topics", topic="chess")
    )


def test_the_preview_follows_the_form(editor: Visitor, story: str, follower: None) -> None:
    look = editor.submit(
        f"/desk/stories/{story}/push/look", title="Short", body="x" * 5000, urgency="normal"
    )
    assert look.status_code == 200
    assert "shortened" in look.text
    assert "<html" not in look.text
    nobody = editor.submit(
        f"/desk/stories/{story}/push/look", urgency="normal", audience="topics", topic="chess"
    )
    assert 'data-devices="0"' in nobody.text


def test_a_confirmed_push_makes_one_alert_and_leads_to_its_page(
    editor: Visitor, story: str, follower: None, engine: Engine
) -> None:
    answer = push(editor, story)
    alert_id = id_in(answer)
    (alert,) = alerts(engine)
    assert (str(alert.id), alert.title, alert.body) == (alert_id, "It rains", "Everywhere.")
    assert alert.created_by == "editor@news.example"
    page = editor.get(f"/desk/alerts/{alert_id}").text
    assert f'data-live="/api/alerts/{alert_id}/events"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "It rains" in editor.get("/desk/alerts").text
    assert f"/desk/alerts/{alert_id}" in editor.get("/desk").text


def test_without_the_tick_nothing_is_sent(
    editor: Visitor, story: str, follower: None, engine: Engine
) -> None:
    answer = push(editor, story, confirm="")
    assert answer.status_code == 422
    assert "confirm that you have read the alert" in answer.text
    assert not alerts(engine)


def test_a_number_that_has_changed_must_be_confirmed_again(
    editor: Visitor, story: str, follower: None, engine: Engine
) -> None:
    answer = push(editor, story, counted="500")
    assert answer.status_code == 422
    assert "The audience is 1 devices now" in answer.text
    assert not alerts(engine)


def test_the_same_form_sent_twice_is_one_alert(
    editor: Visitor, story: str, follower: None, engine: Engine
) -> None:
    fields = {"intent": "the same", "mode": "first"}
    assert id_in(push(editor, story, **fields)) == id_in(push(editor, story, **fields))
    assert len(alerts(engine)) == 1


def test_a_second_editor_is_redirected_to_the_existing_alert(
    editor: Visitor,
    story: str,
    follower: None,
    engine: Engine,
    make_staff: Callable[[str, Role], Visitor],
) -> None:
    first = id_in(push(editor, story))
    second = id_in(push(make_staff("other", Role.EDITOR), story, mode="first"))
    assert first == second
    assert len(alerts(engine)) == 1


def test_the_push_page_says_that_nobody_can_send_before_the_editor_presses(
    editor: Visitor, story: str, engine: Engine
) -> None:
    assert "Nobody can send now" in editor.get(f"/desk/stories/{story}/push").text
    with transaction(engine) as session:
        heartbeats.beat(session, "worker@host", ["urgent", "normal"])
        process_leases.take(session, process_leases.SWEEP, "host/1", 5)
    assert "Nobody can send now" not in editor.get(f"/desk/stories/{story}/push").text


def test_a_draft_cannot_be_pushed_and_the_page_says_why(
    editor: Visitor, ingest: Ingest, engine: Engine
) -> None:
    draft = ingest("Not yet", state="draft")["id"]
    assert "publish it first" in editor.get(f"/desk/stories/{draft}/push").text
    answer = push(editor, draft)
    assert answer.status_code == 409
    assert "publish it first" in answer.text
    assert not alerts(engine)


def test_an_alert_can_be_scheduled_in_the_editors_own_time_zone(
    editor: Visitor, story: str, engine: Engine
) -> None:
    push(editor, story, send_at=f"{TOMORROW:%Y-%m-%d}T12:30", zone="Asia/Kolkata")
    (alert,) = alerts(engine)
    assert alert.state == "scheduled"
    assert alert.send_at == datetime(TOMORROW.year, TOMORROW.month, TOMORROW.day, 7, tzinfo=UTC)


def test_an_alert_carries_words_in_other_languages(
    editor: Visitor, story: str, engine: Engine
) -> None:
    words = {"locale_tag_1": "hi", "locale_title_1": "बारिश", "locale_body_1": "आख़िरकार"}
    push(editor, story, **words)
    (alert,) = alerts(engine)
    assert alert.locales == {"hi": {"title": "बारिश", "body": "आख़िरकार"}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"send_at": "soon"},
        {"send_at": f"{TOMORROW:%Y-%m-%dT%H:%M}", "zone": "../../etc/passwd"},
        {"audience": "topics"},
        {"audience": "topics", "topic": "chess"},
        {"locale_tag_1": "??", "locale_title_1": "x"},
    ],
)
def test_an_invalid_field_is_refused_with_a_reason(
    editor: Visitor, story: str, engine: Engine, wrong: dict[str, str]
) -> None:
    answer = push(editor, story, **wrong)
    assert answer.status_code == 422
    assert "Not sent:" in answer.text
    assert not alerts(engine)


def test_everyone_and_chosen_topics_are_other_audiences(
    editor: Visitor, ingest: Ingest, story: str, engine: Engine
) -> None:
    other = str(ingest("More", topics=["sport"])["id"])
    push(editor, story, audience="everyone")
    push(editor, other, audience="topics", topic=["world", "sport"])
    first, second = alerts(engine)
    assert first.everyone
    assert second.topics == ["world", "sport"]


def test_the_page_names_earlier_alerts_to_the_same_readers(
    editor: Visitor, ingest: Ingest, story: str, engine: Engine
) -> None:
    push(editor, story)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alert SET started_at = created_at"))
    follow_up = ingest("More rain", topics=["world/asia"])["id"]
    chess = ingest("Chess", topics=["chess"])["id"]
    assert "You alerted these readers" in editor.get(f"/desk/stories/{follow_up}/push").text
    assert "got no alert in the last 24 hours" in (editor.get(f"/desk/stories/{chess}/push").text)


def finished(engine: Engine, alert_id: str, accepted: int = 1) -> None:
    """Write an alert's end as the workers would."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE alert SET state = 'finished', started_at = now(), finished_at = now() "
                "WHERE id = :id"
            ),
            {"id": int(alert_id)},
        )
        connection.execute(
            text("INSERT INTO shard (alert_id, n, lo, hi, done) VALUES (:id, 0, 0, :hi, true)"),
            {"id": int(alert_id), "hi": 2**63 - 1},
        )
        devices = list(connection.execute(text("SELECT id FROM device")).scalars())
        devices += [new_id() for _ in range(accepted - len(devices))]
        connection.execute(
            text(
                "INSERT INTO batch (alert_id, shard_n, n, provider, device_ids, states, counts, "
                "progress, finished_at) VALUES (:id, 0, 0, 'apns', :devices, :states, :counts, "
                ":progress, now())"
            ),
            {
                "id": int(alert_id),
                "devices": devices,
                "states": bytes([2]) * len(devices),
                "counts": [0, 0, len(devices), 0, 0, 0, 0],
                "progress": [120, len(devices)],
            },
        )


def test_a_finished_alert_shows_its_totals_without_a_script(
    editor: Visitor, story: str, follower: None, engine: Engine
) -> None:
    alert_id = id_in(push(editor, story))
    finished(engine, alert_id)
    page = editor.get(f"/desk/alerts/{alert_id}").text
    assert "Finished" in page
    assert re.search(r'data-total="accepted">1<', page)
    assert "120 ms" in page
    assert "data-live" not in page
    assert "refresh" not in page


def test_a_correction_goes_to_those_who_got_the_first(
    editor: Visitor, story: str, follower: None, engine: Engine
) -> None:
    first = id_in(push(editor, story))
    finished(engine, first)
    page = editor.get(f"/desk/stories/{story}/push?mode=correct").text
    assert re.search(r'value="correct" checked', page)
    assert 'data-devices="1"' in page
    second = id_in(push(editor, story, mode="correct", title="Corrected"))
    correction = next(alert for alert in alerts(engine) if str(alert.id) == second)
    assert (correction.kind, str(correction.source_alert_id)) == ("update", first)


def test_an_alert_can_be_stopped_and_withdrawn(
    editor: Visitor, story: str, follower: None, engine: Engine
) -> None:
    alert_id = id_in(push(editor, story))
    finished(engine, alert_id)
    answer = editor.submit(f"/desk/alerts/{alert_id}/withdraw", title="Withdrawn", body="Sorry.")
    replacing = id_in(answer)
    assert replacing != alert_id
    assert "Withdrawal" in editor.get(f"/desk/alerts/{replacing}").text
    editor.submit(f"/desk/alerts/{replacing}/stop")
    assert "Stopped" in editor.get(f"/desk/alerts/{replacing}").text


def test_retracting_a_story_stops_its_alerts(editor: Visitor, story: str, engine: Engine) -> None:
    push(editor, story, send_at=f"{TOMORROW:%Y-%m-%dT%H:%M}")
    editor.submit(f"/desk/stories/{story}/retract")
    (alert,) = alerts(engine)
    assert alert.state == "stopped"
    assert "retracted" in alert.stop_reason


def test_a_retracted_story_comes_back_only_when_an_editor_publishes_it_again(
    editor: Visitor, visitor: Visitor, story: str
) -> None:
    editor.submit(f"/desk/stories/{story}/retract")
    assert "Rain" not in visitor.get("/").text
    same = {"headline": "Rain", "body": "<p>It rains.</p>", "summary": "It pours.", "version": "1"}
    editor.submit(f"/desk/stories/{story}", **same, topics="world/asia", do="publish")
    assert "Rain" in visitor.get("/").text


def test_a_reader_sees_the_alerts_it_was_sent(
    editor: Visitor, visitor: Visitor, story: str, engine: Engine
) -> None:
    visitor.post("/me/follow", data={"topic": "world"})
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO device (id, reader_id, provider, address, address_hash, registered_at)"
                " SELECT :id, id, 'apns', 'x', 'x', now() FROM reader"
            ),
            {"id": new_id()},
        )
    finished(engine, id_in(push(editor, story)))
    page = visitor.get("/me").text
    assert "It rains" in page
    assert "Everywhere." in page


@pytest.mark.parametrize("settings", [{"breaking_needs_two": True}], indirect=True)
def test_a_breaking_alert_needs_a_second_editor_where_the_settings_say_so(
    editor: Visitor,
    story: str,
    follower: None,
    engine: Engine,
    make_staff: Callable[[str, Role], Visitor],
) -> None:
    request = push(editor, story, urgency="breaking")
    assert request.headers["location"].endswith("/push")
    assert not alerts(engine)
    push(editor, story, urgency="breaking")
    assert not alerts(engine)
    other = make_staff("other", Role.EDITOR)
    assert "second editor is needed" in other.get("/desk").text
    page = other.get(f"/desk/stories/{story}/push").text
    assert 'value="It rains"' in page
    changed = push(other, story, urgency="breaking", title="Other words")
    assert changed.headers["location"].endswith("/push")
    assert not alerts(engine)
    push(editor, story, urgency="breaking", title="Other words")
    (alert,) = alerts(engine)
    assert alert.title == "Other words"
    assert "second editor is needed" not in other.get("/desk").text


@pytest.mark.parametrize("settings", [{"breaking_needs_two": True}], indirect=True)
def test_a_normal_alert_needs_no_second_editor_and_a_request_can_be_cancelled(
    editor: Visitor, ingest: Ingest, story: str, engine: Engine
) -> None:
    push(editor, story, urgency="breaking")
    editor.submit(f"/desk/stories/{story}/push/take-back")
    assert "second editor is needed" not in editor.get("/desk").text
    push(editor, story, urgency="normal")
    assert len(alerts(engine)) == 1


def test_the_desk_finds_headlines(editor: Visitor, ingest: Ingest) -> None:
    ingest("Ferries stop")
    ingest("Rain at last")
    page = editor.get("/desk?q=ferr").text
    assert "Ferries stop" in page
    assert "Rain at last" not in page
    assert "No stories match" in editor.get("/desk?q=%25").text


@pytest.mark.parametrize("path", ["/desk/stories/1", "/desk/stories/x", "/desk/alerts/1"])
def test_a_missing_page_says_so(editor: Visitor, path: str) -> None:
    answer = editor.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_an_embargo_is_stored_and_shown(editor: Visitor, visitor: Visitor) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    story = id_in(editor.submit("/desk/stories/new", **STORY, embargo_until=until, do="publish"))
    assert "Rain at last" not in visitor.get("/").text
    assert f'value="{until}"' in editor.get(f"/desk/stories/{story}").text
    assert "under embargo" in editor.get(f"/desk/stories/{story}/push").text
