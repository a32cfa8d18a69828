"""The desk and the control room in a real browser: the ways of an editor and an admin."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys.people import People
from tests.system import System
from tests.web.browsing import DESK, IN_A_BROWSER, PHONE, OpenContext, sign_in

pytestmark = IN_A_BROWSER


@pytest.mark.parametrize(
    ("width", "scripts"),
    [(PHONE, "with scripts"), (DESK, "with scripts"), (PHONE, "without scripts")],
)
def test_an_editor_writes_a_story_pushes_it_and_sees_it_arrive(
    system: System, open_context: OpenContext, width: int, scripts: str
) -> None:
    readers = People(system)
    readers.follower_on_all()
    topic = readers.topic
    page = open_context(width, java_script_enabled=scripts == "with scripts").new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    sign_in(page, "editor")
    page.get_by_role("link", name="Write a story").click()
    page.get_by_label("Headline").fill(f"News of {topic}")
    page.get_by_label("Summary").fill("In one line.")
    body = page.get_by_role("textbox", name="Text")
    if scripts == "with scripts":
        # the script puts its own field in the place of the form's
        expect(page.locator("textarea#body")).to_be_hidden()
        body.click()
        page.keyboard.type("The first paragraph.")
    else:
        body.fill("The first paragraph.")
    page.get_by_label("Topics").fill(topic)
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="Send Push").click()
    expect(page.locator(".audience-number")).to_have_text("3")
    page.get_by_role("checkbox", name="Yes, send it").check()
    page.get_by_role("button", name="Send Push").click()
    expect(page).to_have_url(re.compile(r"/desk/alerts/\d+"))
    state = page.locator("[data-state]")
    expect(state).to_have_text("Finished", timeout=30_000)
    expect(page.locator('[data-total="accepted"]').first).to_have_text("3")
    expect(page.get_by_role("link", name="Correct")).to_be_visible()
    page.goto(page.get_by_role("link", name="See it on the phones").get_attribute("href") or "")
    expect(page.get_by_text(f"News of {topic}").first).to_be_visible()
    assert errors == []


def test_correct_is_offered_without_a_reload_once_a_scheduled_alert_has_left(
    system: System, open_context: OpenContext
) -> None:
    page = open_context().new_page()
    sign_in(page, "admin")  # one account may sign in ten times a minute
    leaves_at = datetime.now(UTC) + timedelta(seconds=6)
    alert = system.send(system.ingest(topics=["sport"]), send_at=leaves_at.isoformat())
    page.goto(f"/desk/alerts/{alert['id']}")
    expect(page.locator("[data-state]")).to_have_text("Scheduled")
    correct = page.get_by_role("link", name="Correct")
    expect(correct).to_have_count(0)
    expect(correct).to_be_visible(timeout=30_000)


def test_a_breaking_alert_leaves_only_when_the_button_is_held_or_the_number_typed(
    system: System, open_context: OpenContext
) -> None:
    story = system.ingest(headline="Breaking", topics=["breaking-news"])
    page = open_context().new_page()
    sign_in(page, "editor")
    page.goto(f"/desk/stories/{story['id']}/push")
    page.get_by_role("radio", name="Breaking Sounds at once").check()
    page.get_by_role("checkbox", name="Yes, send it").check()
    button = page.locator("[data-send]")
    expect(button).to_have_text("Hold to send")
    button.click()
    expect(page).to_have_url(re.compile("/push$"))
    alerts = system.answer("GET", "/api/alerts")["items"]
    assert story["id"] not in {alert["story_id"] for alert in alerts}
    page.locator("#typed").fill("0")
    button.click()
    expect(page).to_have_url(re.compile(r"/desk/alerts/\d+"))


def tab_to(page: Page, target: Locator) -> None:
    """Go there with the Tab key, as who has no mouse does."""
    for _ in range(80):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached with Tab")


@pytest.mark.parametrize("urgency", ["normal", "breaking"])
def test_send_push_needs_no_mouse(system: System, open_context: OpenContext, urgency: str) -> None:
    story = system.ingest(headline="By keyboard", topics=["keyboards"])
    page = open_context().new_page()
    sign_in(page, "editor")
    page.goto(f"/desk/stories/{story['id']}")
    tab_to(page, page.get_by_role("link", name="Send Push"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/push$"))
    tab_to(page, page.get_by_role("radio", name="Normal"))
    if urgency == "breaking":
        page.keyboard.press("ArrowUp")
    tab_to(page, page.get_by_role("checkbox", name="Yes, send it"))
    page.keyboard.press("Space")
    tab_to(page, page.locator("[data-send]"))
    page.keyboard.press("Enter")
    if urgency == "breaking":
        expect(page.locator("#typed")).to_be_focused()
        page.keyboard.type("0")
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/desk/alerts/\d+"))
    assert system.answer("GET", "/api/alerts")["items"][0]["urgency"] == urgency


def test_the_page_of_a_scheduled_alert_shows_local_time_and_moves_it(
    system: System, open_context: OpenContext
) -> None:
    story = system.ingest(headline="Scheduled", topics=["scheduled"])
    at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
    alert = system.send(story, send_at=at.isoformat())
    page = open_context(timezone_id="Asia/Kolkata").new_page()
    sign_in(page, "editor")
    page.goto(f"/desk/alerts/{alert['id']}")
    field = page.get_by_label("Leaves at (Asia/")
    local = at + timedelta(hours=5, minutes=30)
    expect(field).to_have_value(f"{local:%Y-%m-%dT%H:%M}")
    field.fill(f"{local + timedelta(hours=1):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Save the changes").click()
    expect(page.get_by_text("Changed.")).to_be_visible()
    moved = datetime.fromisoformat(system.alert(alert)["send_at"])
    assert moved == at + timedelta(hours=1)


def test_the_first_typed_text_is_a_paragraph_like_the_others(
    system: System, open_context: OpenContext
) -> None:
    page = open_context().new_page()
    sign_in(page, "editor")
    page.goto("/desk/stories/new")
    page.get_by_label("Headline").fill("Two paragraphs")
    page.get_by_role("textbox", name="Text").click()
    page.keyboard.type("The first.\nThe second.")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("The story is published.")).to_be_visible()
    story = system.answer("GET", f"/api/stories/{page.url.rpartition('/')[2]}")
    assert story["body"] == "<p>The first.</p><p>The second.</p>"


def test_times_are_typed_in_the_writers_time_zone_and_stored_in_utc(
    open_context: OpenContext,
) -> None:
    page = open_context(timezone_id="Europe/Berlin").new_page()
    sign_in(page, "editor")
    page.goto("/desk/stories/new")
    page.get_by_label("Headline").fill("Not before noon")
    page.get_by_role("textbox", name="Text").click()
    page.keyboard.type("It is noon.")
    page.get_by_label("Embargo until (Europe/Berlin)").fill("2035-06-01T12:00")
    page.get_by_role("button", name="Save as draft").click()
    expect(page.get_by_text("Saved as a draft.")).to_be_visible()
    expect(page.locator("input[name=embargo_until]")).to_have_value("2035-06-01T10:00")
    expect(page.get_by_label("Embargo until (Europe/Berlin)")).to_have_value("2035-06-01T12:00")


def test_the_form_points_out_topics_that_do_not_exist_yet(open_context: OpenContext) -> None:
    page = open_context().new_page()
    sign_in(page, "admin")  # one account may sign in ten times a minute
    page.goto("/desk/stories/new")
    topics = page.get_by_label("Topics")
    topics.fill("world/asia, wrold/asia")
    topics.blur()
    expect(page.get_by_text("New topics without followers: wrold/asia.")).to_be_visible()
    topics.fill("world/asia")
    topics.blur()
    expect(page.get_by_text("New topics without followers")).to_be_hidden()


def test_an_admin_holds_and_releases_a_provider_and_sees_the_room_live(
    system: System, open_context: OpenContext
) -> None:
    page = open_context(PHONE).new_page()
    sign_in(page, "admin")
    page.goto("/control")
    expect(page.locator("[data-as-of]")).to_have_text("Live")
    page.get_by_text("Hold iPhone and iPad").click()
    page.locator("#reason-apns").fill("Tried by hand")
    page.wait_for_timeout(2500)
    expect(page.locator("#reason-apns")).to_have_value("Tried by hand")
    system.answer("PUT", "/api/admin/providers/fcm/hold", json={"reason": "Held meanwhile"})
    expect(page.get_by_text("Held meanwhile").first).to_be_visible()
    system.answer("DELETE", "/api/admin/providers/fcm/hold")
    page.locator("#reason-apns").press("Enter")
    expect(page.get_by_text("Tried by hand").first).to_be_visible()
    system.answer("DELETE", "/api/admin/providers/apns/hold")
    expect(page.get_by_text("Tried by hand").first).to_be_hidden()
    page.context.set_offline(True)
    expect(page.locator("[data-as-of]")).to_contain_text("Connection lost")


def test_an_admin_replays_dead_letters(system: System, open_context: OpenContext) -> None:
    readers = People(system)
    readers.follower_on_all()
    story = system.ingest(headline="Refused", topics=[readers.topic])
    refusal = {"status": 400, "body": '{"reason":"BadExpirationDate"}', "count": 100}
    system.weather(provider="apns", script=[refusal])
    alert = system.send(story)
    report = system.finished(alert)
    system.control.delete("/control/weather").raise_for_status()
    buried = report["totals"]["buried"]
    assert buried
    page = open_context().new_page()
    sign_in(page, "admin")
    page.goto(f"/control?alert={alert['id']}")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Try all that match again").click()
    expect(page.get_by_text(f"{buried} devices are being tried again.")).to_be_visible()
    assert system.finished(alert)["totals"]["buried"] == 0
