"""Tests to the editor's own devices: tying them, sending, and everything that is refused."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text

from service.domain.people import Role
from tests.web.conftest import Visitor

Ingest = Callable[..., dict[str, Any]]
WORDS = {"title": "It rains", "body": "Everywhere.", "urgency": "normal"}
NOBODYS = "None of your devices is known yet"


@pytest.fixture
def draft(ingest: Ingest) -> str:
    return str(ingest("Rain", topics=["world/asia"], state="draft")["id"])


@pytest.fixture
def app_reader(ingest: Ingest) -> Callable[[], str]:
    """Make a reader as an app does, with one device; returns its token."""
    machine = ingest.machine  # type: ignore[attr-defined]
    addresses: Iterator[str] = (f"{n:064x}" for n in range(1, 100))

    def make() -> str:
        token = str(machine.post("/api/readers", headers={"Authorization": ""}).json()["token"])
        device = {"provider": "apns", "address": next(addresses), "locale": "hi-IN"}
        headers = {"Authorization": f"Bearer {token}"}
        assert machine.put("/api/me/devices", json=device, headers=headers).status_code == 201
        return token

    return make


@pytest.fixture
def paired(editor: Visitor, app_reader: Callable[[], str]) -> Visitor:
    """An editor whose app gets tests."""
    assert editor.submit("/desk/account/devices", token=app_reader()).status_code == 303
    return editor


def rows(engine: Engine, query: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(query)))


def try_out(editor: Visitor, story: str, **given: Any) -> httpx.Response:
    return editor.submit(f"/desk/stories/{story}/push/test", **(WORDS | given))


def id_of_test(answer: httpx.Response) -> str:
    found = re.search(r'href="/desk/alerts/(\d+)">The test', answer.text)
    assert found, answer.text
    return found[1]


def test_a_signed_in_editor_pairs_a_browser_on_its_own_page(
    editor: Visitor, app_reader: Callable[[], str], engine: Engine
) -> None:
    assert "Test pushes" not in editor.get("/me").text
    editor.cookies.set("newszop_reader", app_reader(), path="/me")
    assert "Send my test pushes to these devices" in editor.get("/me").text
    assert editor.submit("/me/test-pushes").headers["location"] == "/me"
    assert "come to these devices" in editor.get("/me").text
    assert rows(engine, "SELECT reader_id FROM staff") == rows(engine, "SELECT id FROM reader")
    assert "iPhone and iPad" in editor.get("/desk/account").text
    editor.submit("/me/test-pushes/stop")
    assert rows(engine, "SELECT reader_id FROM staff") == [(None,)]


def test_readers_pages_know_nothing_of_tests(
    visitor: Visitor, app_reader: Callable[[], str]
) -> None:
    visitor.cookies.set("newszop_reader", app_reader(), path="/me")
    assert "Test pushes" not in visitor.get("/me").text
    assert visitor.post("/me/test-pushes").headers["location"].startswith("/login")


def test_an_app_is_paired_by_its_readers_token_which_no_page_repeats(
    paired: Visitor, app_reader: Callable[[], str]
) -> None:
    page = paired.get("/desk/account").text
    assert "iPhone and iPad" in page
    assert "hi-IN" in page
    wrong = paired.submit("/desk/account/devices", token="nobody's")
    assert wrong.status_code == 422
    assert "No reader has this token." in wrong.text
    token = app_reader()
    answer = paired.submit("/desk/account/devices", token=token)
    assert token not in answer.text + answer.headers["location"] + paired.get("/desk/account").text
    paired.submit("/desk/account/devices/untie")
    assert "iPhone and iPad" not in paired.get("/desk/account").text


def test_guessing_tokens_is_slowed_down(editor: Visitor) -> None:
    answers = [editor.submit("/desk/account/devices", token="x").status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]


def test_a_test_of_a_draft_has_the_words_of_the_form(
    paired: Visitor, draft: str, engine: Engine
) -> None:
    page = paired.get(f"/desk/stories/{draft}/push").text
    assert "Send a test to my devices (1)" in page
    assert re.search(r"data-test\s*>", page), "the button works though no alert can leave"
    hindi = {"locale_tag_1": "hi", "locale_title_1": "बारिश", "locale_body_1": "हर जगह"}
    answer = try_out(paired, draft, **hindi, urgency="breaking", send_at="never", dry_run="yes")
    assert answer.status_code == 200
    assert 'value="It rains"' in answer.text
    assert 'value="बारिश"' in answer.text
    (alert,) = rows(engine, "SELECT * FROM alert")
    assert (alert.kind, alert.title, alert.body, alert.dry_run) == (
        "test",
        "It rains",
        "Everywhere.",
        False,
    )
    assert alert.locales == {"hi": {"title": "बारिश", "body": "हर जगह"}}
    assert alert.collapse_key != f"story-{draft}"
    assert alert.ttl_s == 600
    assert (alert.urgency, alert.created_by) == (2, "editor@news.example")
    (deed,) = rows(engine, "SELECT verb, what, detail FROM audit WHERE verb = 'send test'")
    assert deed.what == f"alert:{alert.id}"


def test_a_test_without_words_has_those_of_the_story(
    paired: Visitor, draft: str, engine: Engine
) -> None:
    try_out(paired, draft, title="", body="")
    assert rows(engine, "SELECT title, body FROM alert") == [("Rain", "It pours.")]


def test_a_tests_report_says_that_it_is_one_and_offers_no_correction(
    paired: Visitor, draft: str
) -> None:
    alert_id = id_of_test(try_out(paired, draft))
    page = paired.get(f"/desk/alerts/{alert_id}").text
    assert "Only to its sender" in page
    assert "The sender&#39;s own devices" in page
    assert "Withdraw the alert" not in page
    assert "mode=correct" not in page
    fragment = paired.get(f"/desk/stories/{draft}/push/test/{alert_id}")
    assert "<html" not in fragment.text
    assert "iPhone and iPad" in fragment.text
    assert f'data-live="/desk/stories/{draft}/push/test/{alert_id}"' in fragment.text


def test_programs_see_a_test_only_when_they_request_it_by_its_id(
    paired: Visitor, draft: str, ingest: Ingest
) -> None:
    machine = ingest.machine  # type: ignore[attr-defined]
    alert_id = id_of_test(try_out(paired, draft))
    report = machine.get(f"/api/alerts/{alert_id}").json()
    assert (report["test"], report["kind"], report["dry_run"]) == (True, "test", False)
    assert machine.get("/api/alerts").json()["items"] == []
    other = machine.post(f"/api/stories/{ingest('Snow')['id']}/alerts", json={}).json()["id"]
    assert machine.get(f"/api/alerts/{other}").json()["test"] is False


def test_a_test_is_neither_withdrawn_nor_replayed_nor_corrected(
    paired: Visitor, draft: str, ingest: Ingest
) -> None:
    machine = ingest.machine  # type: ignore[attr-defined]
    alert_id = id_of_test(try_out(paired, draft))
    words = {"title": "Sorry", "body": "Withdrawn."}
    for verb in ("withdraw", "replay"):
        answer = machine.post(f"/api/alerts/{alert_id}/{verb}", json=words)
        assert answer.status_code == 409
        assert "This was a test" in answer.json()["detail"]
    paired.submit(
        f"/desk/stories/{draft}", headline="Rain", body="<p>x</p>", version="1", do="publish"
    )
    refused = machine.post(f"/api/stories/{draft}/alerts", json={"update": True})
    assert refused.status_code == 409
    assert "no alert yet" in refused.json()["detail"]
    assert machine.post(f"/api/stories/{draft}/alerts", json={}).status_code == 202


def test_a_story_that_has_its_alert_can_still_be_tested(
    paired: Visitor, ingest: Ingest, engine: Engine
) -> None:
    machine = ingest.machine  # type: ignore[attr-defined]
    story = ingest("Rain", topics=["world"])["id"]
    first = machine.post(f"/api/stories/{story}/alerts", json={}).json()["id"]
    assert try_out(paired, story, mode="correct").status_code == 200
    states = rows(engine, "SELECT id::text, kind, state FROM alert ORDER BY kind")
    assert (first, "first", "planning") in [tuple(row) for row in states]
    assert len(states) == 2
    assert f"/desk/alerts/{first}" in paired.get("/desk").text


def test_without_devices_the_button_is_off_and_the_page_says_where_to_add_one(
    editor: Visitor, draft: str, engine: Engine
) -> None:
    page = editor.get(f"/desk/stories/{draft}/push").text
    assert re.search(r"data-test disabled", page)
    assert 'href="/me"' in page
    refused = try_out(editor, draft)
    assert refused.status_code == 409
    assert NOBODYS in refused.text
    assert 'value="It rains"' in refused.text, "nothing typed is lost"
    assert rows(engine, "SELECT * FROM alert") == []


def test_another_editor_has_devices_of_their_own_or_none(
    paired: Visitor, draft: str, make_staff: Callable[[str, Role], Visitor]
) -> None:
    other = make_staff("other", Role.ADMIN)
    assert NOBODYS in try_out(other, draft).text


def test_an_erased_reader_gets_no_more_tests(
    editor: Visitor, draft: str, app_reader: Callable[[], str]
) -> None:
    editor.cookies.set("newszop_reader", app_reader(), path="/me")
    editor.submit("/me/test-pushes")
    editor.post("/me/forget")
    assert NOBODYS in try_out(editor, draft).text


def test_a_reader_without_a_device_gets_no_tests(
    paired: Visitor, draft: str, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE device SET gone_at = now()"))
    assert re.search(r"data-test disabled", paired.get(f"/desk/stories/{draft}/push").text)
    assert NOBODYS in try_out(paired, draft).text
    assert "No device yet" in paired.get("/desk/account").text


def test_a_test_with_impossible_words_is_refused_and_named(
    paired: Visitor, draft: str, engine: Engine
) -> None:
    refused = try_out(paired, draft, locale_tag_1="not a language", locale_title_1="x")
    assert refused.status_code == 422
    assert "No test was sent" in refused.text
    assert rows(engine, "SELECT * FROM alert") == []


def test_six_tests_a_minute_are_enough_for_one_editor(paired: Visitor, draft: str) -> None:
    answers = [try_out(paired, draft) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert "Too many tests" in answers[-1].text
    assert 'value="It rains"' in answers[-1].text


FORMS = (
    "/desk/stories/{story}/push/test",
    "/me/test-pushes",
    "/me/test-pushes/stop",
    "/desk/account/devices",
    "/desk/account/devices/untie",
)


@pytest.mark.parametrize("form", FORMS)
def test_a_forged_form_does_nothing(
    paired: Visitor, draft: str, engine: Engine, form: str, app_reader: Callable[[], str]
) -> None:
    paired.cookies.set("newszop_reader", app_reader(), path="/me")
    before = rows(engine, "SELECT reader_id FROM staff")
    forged = {"csrf": "0" * 64, "token": app_reader()} | WORDS
    assert paired.post(form.format(story=draft), data=forged).status_code == 403
    assert rows(engine, "SELECT reader_id FROM staff") == before
    assert rows(engine, "SELECT * FROM alert") == []


@pytest.mark.parametrize("form", FORMS)
def test_readers_are_sent_to_the_login(
    visitor: Visitor, draft: str, app_reader: Callable[[], str], form: str
) -> None:
    visitor.cookies.set("newszop_reader", app_reader(), path="/me")
    answer = visitor.post(form.format(story=draft), data=WORDS)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("role", Role)
def test_editors_and_admins_can_both_send_tests(
    make_staff: Callable[[str, Role], Visitor],
    draft: str,
    app_reader: Callable[[], str],
    role: Role,
) -> None:
    person = make_staff("somebody", role)
    person.submit("/desk/account/devices", token=app_reader())
    assert try_out(person, draft).status_code == 200


def test_a_machines_key_has_no_devices_of_its_own(
    app: FastAPI, ingest: Ingest, draft: str, engine: Engine
) -> None:
    machine = ingest.machine  # type: ignore[attr-defined]
    answer = machine.post(f"/desk/stories/{draft}/push/test", data=WORDS, follow_redirects=False)
    assert answer.status_code == 303
    assert rows(engine, "SELECT * FROM alert") == []


@pytest.mark.parametrize("alert_id", ["1", "first"])
def test_only_tests_have_a_fragment(paired: Visitor, ingest: Ingest, alert_id: str) -> None:
    machine = ingest.machine  # type: ignore[attr-defined]
    story = ingest("Rain", topics=["world"])["id"]
    first = machine.post(f"/api/stories/{story}/alerts", json={}).json()["id"]
    wanted = first if alert_id == "first" else alert_id
    assert paired.get(f"/desk/stories/{story}/push/test/{wanted}").status_code == 404
