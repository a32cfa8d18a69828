"""The site in a real browser: the ways of editor, reader and admin, and axe on each page."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from service.domain.people import Role
from service.store import people
from service.store.session import transaction
from tests.journeys.people import People
from tests.system import System

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not found: browser tests are skipped"),
]
PASSWORD = "correct horse battery staple"
PHONE, DESK = 360, 1440
HEADLINES = {"en": "Rain at last", "ar": "مطر أخيراً", "hi": "आख़िरकार बारिश"}
BODY = "<p>The first drops fell at noon.</p><h2>What next</h2><p>More of it.</p>"


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """The whole system, its people, and a story in each direction of reading."""
    with System(NEWSZOP_DEMO="true") as running:
        with transaction(running.engine) as session:
            people.add_staff(session, "editor@news.example", PASSWORD, Role.EDITOR)
            people.add_staff(session, "admin@news.example", PASSWORD, Role.ADMIN)
        running.ingest(headline=HEADLINES["en"], body=BODY, topics=["world/asia", "climate"])
        for language in ("ar", "hi"):
            running.ingest(headline=HEADLINES[language], language=language, topics=["world"])
        running.finished(running.send(running.ingest(headline="Sent before", topics=["world"])))
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_context(browser: Browser, system: System) -> Iterator[Callable[..., BrowserContext]]:
    opened: list[BrowserContext] = []

    def make(width: int = DESK, **given: Any) -> BrowserContext:
        context = browser.new_context(
            base_url=system.url, viewport={"width": width, "height": 900}, **given
        )
        context.set_default_timeout(15_000)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()


def sign_in(page: Page, who: str) -> None:
    page.goto("/login")
    page.get_by_label("E-mail").fill(f"{who}@news.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/desk"))


def story_path(system: System, language: str = "en") -> str:
    found = system.answer("GET", "/api/stories")["items"]
    story = next(one for one in found if one["headline"] == HEADLINES[language])
    return str(story["url"].removeprefix(system.url))


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scripts", ["with scripts", "without scripts"])
def test_an_editor_writes_a_story_pushes_it_and_sees_it_arrive(
    system: System, open_context: Callable[..., BrowserContext], width: int, scripts: str
) -> None:
    readers = People(system)
    readers.follower_on_all()
    topic = readers.topic
    page = open_context(width, java_script_enabled=scripts == "with scripts").new_page()
    sign_in(page, "editor")
    page.get_by_role("link", name="Write a story").click()
    page.get_by_label("Headline").fill(f"News of {topic}")
    page.get_by_label("Summary").fill("In one line.")
    body = page.get_by_role("textbox", name="Text")
    body.click()
    if scripts == "with scripts":
        page.keyboard.type("The first paragraph.")
    else:
        body.fill("The first paragraph.")
    page.get_by_label("Topics").fill(topic)
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="Send Push").click()
    expect(page.locator(".audience-number")).to_have_text("3")
    page.get_by_role("checkbox", name="Yes, send it to").check()
    page.get_by_role("button", name="Send Push").click()
    expect(page).to_have_url(re.compile(r"/desk/alerts/\d+"))
    state = page.locator("[data-state]")
    expect(state).to_have_text("Finished", timeout=30_000)
    expect(page.locator('[data-total="accepted"]')).to_have_text("3")
    page.goto(page.get_by_role("link", name="See it there").get_attribute("href") or "")
    expect(page.get_by_text(f"News of {topic}").first).to_be_visible()


def test_a_breaking_alert_leaves_only_when_the_button_is_held_or_the_number_typed(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
    story = system.ingest(headline="Breaking", topics=["breaking-news"])
    page = open_context().new_page()
    sign_in(page, "editor")
    page.goto(f"/desk/stories/{story['id']}/push")
    page.get_by_role("radio", name="Breaking Sounds at once").check()
    page.get_by_role("checkbox", name="Yes, send it to").check()
    button = page.locator("[data-send]")
    expect(button).to_have_text("Hold to send")
    button.click()
    expect(page).to_have_url(re.compile("/push$"))
    alerts = system.answer("GET", "/api/alerts")["items"]
    assert story["id"] not in {alert["story_id"] for alert in alerts}
    page.locator("#typed").fill("0")
    button.click()
    expect(page).to_have_url(re.compile(r"/desk/alerts/\d+"))


SUBSCRIBE = """
    PushManager.prototype.subscribe = async function (options) {
        window.asked = options;
        const { address, keys } = JSON_HERE;
        return { endpoint: address, options, toJSON: () => ({ endpoint: address, keys }) };
    };
    PushManager.prototype.getSubscription = async () => null;
"""


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_reader_gets_alerts_is_shown_one_and_its_receipts_are_counted(
    system: System, open_context: Callable[..., BrowserContext], width: int
) -> None:
    story = system.ingest(headline=f"Shown at {width}", topics=[f"shown-{width}"])
    made = system.control.post("/control/subscriptions", json={"provider": "webpush"})
    subscription = made.json()["items"][0]
    context = open_context(width)
    context.grant_permissions(["notifications"])
    context.add_init_script(SUBSCRIBE.replace("JSON_HERE", json.dumps(subscription)))
    page = context.new_page()
    page.goto(str(story["url"]))
    page.get_by_role("button", name="Get alerts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Your browser asks you next")
    dialog.get_by_role("button", name="Allow alerts").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Alerts are on")).to_be_visible()
    expect(page.get_by_role("button", name="Following this story")).to_be_visible()
    assert page.evaluate("window.asked.userVisibleOnly")

    alert = system.send(story, title="It rains", body="Everywhere.")
    report = system.finished(alert)
    assert report["totals"]["accepted"] == 1
    pushed = system.pushes(alert_id=alert["id"])["items"][0]
    message = {"title": pushed["title"], "body": pushed["body"], "tag": pushed["collapse_key"]}
    message |= {name: pushed[name] for name in ("url", "receipt", "alert_id", "story_id")}
    deliver(context, page, system.url, message)
    system.await_true(lambda: bool(notifications(page)), "the notification stands")
    (shown,) = notifications(page)
    assert shown == ["It rains", "Everywhere.", pushed["collapse_key"], story["url"]]
    system.await_true(lambda: system.alert(alert)["receipts"]["shown"] == 1, "shown is counted")

    worker = context.service_workers[0]
    worker.evaluate("receipt => tell(receipt, 'opened')", pushed["receipt"])
    system.await_true(lambda: system.alert(alert)["receipts"]["opened"] == 1, "opened is counted")
    worker.evaluate("story => mute(story)", str(story["id"]))
    page.goto("/me")
    expect(page.get_by_text("Muted until").first).to_be_visible()
    expect(page.get_by_role("link", name="It rains")).to_be_visible()


def notifications(page: Page) -> list[list[str]]:
    """Return what stands on the screen: title, body, tag and where it leads."""
    found: list[list[str]] = page.evaluate(
        "navigator.serviceWorker.ready.then(worker => worker.getNotifications())"
        ".then(all => all.map(one => [one.title, one.body, one.tag, one.data.url]))"
    )
    return found


def deliver(context: BrowserContext, page: Page, origin: str, message: dict[str, Any]) -> None:
    """Bring a push as the browser's own push service would."""
    devtools = context.new_cdp_session(page)
    known: list[dict[str, Any]] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: known.extend(event["registrations"]),
    )
    devtools.send("ServiceWorker.enable")
    page.wait_for_timeout(300)
    devtools.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": origin,
            "registrationId": known[-1]["registrationId"],
            "data": json.dumps(message),
        },
    )


def test_a_denied_permission_is_explained_and_nothing_is_registered(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
    context = open_context()
    context.add_init_script(
        "Object.defineProperty(Notification, 'permission', { get: () => 'denied' })"
    )
    page = context.new_page()
    page.goto(story_path(system))
    page.get_by_role("button", name="Get alerts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Allow notifications in the site's settings")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert not context.cookies(f"{system.url}/me")


def test_a_browser_without_push_says_so_and_still_follows(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
    context = open_context()
    context.add_init_script("delete window.PushManager")
    page = context.new_page()
    page.goto(story_path(system))
    page.get_by_role("button", name="Get alerts").click()
    expect(page.get_by_role("dialog")).to_contain_text("cannot show alerts")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Follow Climate").click()
    expect(page.get_by_text("You follow Climate now.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Following Climate")).to_be_visible()
    page.get_by_role("button", name="Following Climate").click()
    expect(page.get_by_role("button", name="Follow Climate")).to_be_visible()


def test_following_works_without_scripts(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(PHONE, java_script_enabled=False).new_page()
    page.goto(story_path(system))
    page.get_by_role("button", name="Follow Climate").click()
    expect(page).to_have_url(re.compile("/me"))
    expect(page.get_by_text("You follow it now.")).to_be_visible()
    expect(page.get_by_role("button", name="Unfollow Climate")).to_be_visible()
    page.get_by_role("link", name="Back to where you were").click()
    expect(page).to_have_url(system.url + story_path(system))


def test_the_next_story_opens_by_link_and_by_key_in_both_directions(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context().new_page()
    page.goto(story_path(system, "hi"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text("مطر أخيراً")
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text("مطر أخيراً")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("h1")).not_to_have_text("مطر أخيراً")
    page.get_by_role("link", name="Next Story").click()
    expect(page.locator("h1")).to_be_visible()


def test_what_was_read_can_be_read_offline(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
    context = open_context(PHONE)
    page = context.new_page()
    path = story_path(system)
    page.goto(path)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    kept = "caches.open('read-1').then(cache => cache.keys()).then(keys => keys.length)"
    system.await_true(lambda: page.evaluate(kept) > 0, "the page is kept")
    context.set_offline(True)
    page.goto(path)
    expect(page.locator("h1")).to_have_text("Rain at last")
    page.goto("/topics/nowhere-yet")
    expect(page.locator("h1")).to_have_text("You are offline")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_an_admin_holds_and_releases_a_provider_and_sees_the_room_live(
    system: System, open_context: Callable[..., BrowserContext], width: int
) -> None:
    page = open_context(width).new_page()
    sign_in(page, "admin")
    page.goto("/control")
    expect(page.locator("[data-as-of]")).to_have_text("Live")
    page.get_by_text("Hold iPhone and iPad").click()
    page.locator("#reason-apns").fill("Tried by hand")
    page.wait_for_timeout(2500)
    expect(page.locator("#reason-apns")).to_have_value("Tried by hand")
    page.locator("#reason-apns").press("Enter")
    expect(page.get_by_text("Tried by hand")).to_be_visible()
    system.answer("DELETE", "/api/admin/providers/apns/hold")
    expect(page.get_by_text("Tried by hand")).to_be_hidden()
    page.context.set_offline(True)
    expect(page.locator("[data-as-of]")).to_contain_text("Connection lost")


def test_an_admin_replays_what_was_given_up(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
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
    page.get_by_role("button", name="Replay all that fit").click()
    expect(page.get_by_text(f"{buried} devices are tried again.")).to_be_visible()
    assert system.finished(alert)["totals"]["buried"] == 0


def pages(system: System) -> dict[str, list[str]]:
    """Return every page, by who may see it."""
    story = system.answer("GET", "/api/stories")["items"][-1]
    alert = system.answer("GET", "/api/alerts")["items"][0]
    desk = f"/desk/stories/{story['id']}"
    stories = [story_path(system, language) for language in HEADLINES]
    public = ["/", "/topics", "/topics/world", "/me", "/login", "/offline", "/phones", "/nothing"]
    desks = ["/desk", "/desk/stories/new", desk, f"{desk}/push", f"{desk}/revisions"]
    alerts = ["/desk/alerts", f"/desk/alerts/{alert['id']}", "/desk/account"]
    return {
        "": [*public, *stories],
        "editor": [*desks, *alerts, stories[0]],
        "admin": ["/control", "/control/people", "/control/topics", "/control/audit"],
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing_and_no_page_is_wider_than_its_screen(
    system: System, open_context: Callable[..., BrowserContext], width: int, scheme: str
) -> None:
    found = []
    for who, paths in pages(system).items():
        page = open_context(width, color_scheme=scheme, reduced_motion="reduce").new_page()
        if who:
            sign_in(page, who)
        else:
            page.goto(story_path(system))
            page.get_by_role("button", name="Follow Climate").click()
            expect(page.get_by_role("button", name="Following Climate")).to_be_visible()
        for path in paths:
            page.goto(path)
            for one in Axe().run(page).response["violations"]:
                nodes = [node["html"][:160] for node in one["nodes"][:3]]
                found.append(f"{path}: {one['id']} {nodes}")
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{path}: wider than the screen")
    assert not found, "\n".join(found)


def test_the_get_alerts_dialog_passes_axe(
    system: System, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(PHONE, color_scheme="dark").new_page()
    page.goto(story_path(system))
    page.get_by_role("button", name="Get alerts").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert not Axe().run(page).response["violations"]
