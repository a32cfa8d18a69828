"""The site in a real browser: the ways of a reader, and axe on each page."""

import json
import re
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.system import System
from tests.web.browsing import (
    AXE,
    DESK,
    HEADLINES,
    IN_A_BROWSER,
    PHONE,
    OpenContext,
    sign_in,
    story_path,
)

pytestmark = IN_A_BROWSER

SUBSCRIBE = """
    PushManager.prototype.subscribe = async function (options) {
        window.asked = options;
        const { address, keys } = JSON_HERE;
        return { endpoint: address, options, toJSON: () => ({ endpoint: address, keys }) };
    };
    PushManager.prototype.getSubscription = async () => null;
"""

SUBSCRIBE_AGAIN = """
    const made = JSON_HERE;
    window.unsubscribed = [];
    PushManager.prototype.subscribe = async function (options) {
        const { address, keys } = made.shift();
        const unsubscribe = async () => window.unsubscribed.push(address);
        const toJSON = () => ({ endpoint: address, keys });
        return { endpoint: address, options, unsubscribe, toJSON };
    };
    PushManager.prototype.getSubscription = async () => null;
"""

SUBSCRIBE_AND_KEEP = """
    const { address, keys } = JSON_HERE;
    const KEPT = "subscription of the test";
    const build = (options) => ({
        endpoint: address, options, toJSON: () => ({ endpoint: address, keys }),
        unsubscribe: async () => { localStorage.removeItem(KEPT); return true; },
    });
    const bytes = (text) => Uint8Array.from(JSON.parse(text)).buffer;
    PushManager.prototype.subscribe = async function (options) {
        localStorage.setItem(KEPT, JSON.stringify([...options.applicationServerKey]));
        return build({ applicationServerKey: options.applicationServerKey.buffer });
    };
    PushManager.prototype.getSubscription = async () => {
        const text = localStorage.getItem(KEPT);
        return text && build({ applicationServerKey: bytes(text) });
    };
"""


AXE_SCRIPT = Axe().axe_script
AXE_OF_LOOKS = AXE | {
    "runOnly": ["color-contrast", "link-in-text-block", "scrollable-region-focusable"]
}
"""The rules whose answer depends on colours and on the width; all others read the markup."""
ALERTS_ON = re.compile(r"Alerts: \d+ topic")


@pytest.mark.notifications
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_reader_gets_alerts_is_shown_one_and_its_receipts_are_counted(
    system: System, open_context: OpenContext, width: int
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
    expect(dialog).to_contain_text("Your browser will ask for permission next")
    choose_topics(dialog)
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Alerts: 2 topics")).to_be_visible()
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
    receipt = {"receipt": pushed["receipt"]}
    worker.evaluate("alert => self.newszopWorker.sendReceipt(alert, 'opened')", receipt)
    system.await_true(lambda: system.alert(alert)["receipts"]["opened"] == 1, "opened is counted")
    worker.evaluate("story => muteTopics(story)", str(story["id"]))
    page.goto("/me")
    expect(page.get_by_text("Muted until").first).to_be_visible()
    expect(page.get_by_role("link", name="It rains")).to_be_visible()


@pytest.mark.notifications
def test_a_reader_whose_subscription_has_died_gets_alerts_by_pressing_again(
    system: System, open_context: OpenContext
) -> None:
    story = system.ingest(headline="Died and back", topics=["died"])
    made = system.control.post("/control/subscriptions", json={"provider": "webpush", "count": 2})
    context = open_context()
    context.grant_permissions(["notifications"])
    context.add_init_script(SUBSCRIBE_AGAIN.replace("JSON_HERE", json.dumps(made.json()["items"])))
    page = context.new_page()
    press_get_alerts(page, story)
    first, second = (item["address"] for item in made.json()["items"])
    body = {"reason": "as told"}
    system.weather(
        provider="webpush", address=first, script=[{"status": 410, "body": body, "count": 1}]
    )
    assert system.finished(system.send(story, title="Lost"))["totals"]["gone"] == 1
    press_get_alerts(page, story)
    assert page.evaluate("window.unsubscribed") == [first]
    later = system.send(system.ingest(headline="Later", topics=["died"]), title="Back again")
    assert system.finished(later)["totals"]["accepted"] == 1
    [push] = system.pushes(alert_id=later["id"])["items"]
    assert push["address"] == second


@pytest.mark.notifications
@pytest.mark.parametrize("button", ["Remove", "Forget me", "Turn all alerts off"])
def test_a_browser_that_its_reader_removed_does_not_come_back_by_itself(
    system: System, open_context: OpenContext, button: str
) -> None:
    story = system.ingest(headline="Removed for good", topics=["removed"])
    made = system.control.post("/control/subscriptions", json={"provider": "webpush"})
    context = open_context()
    context.grant_permissions(["notifications"])
    subscription = json.dumps(made.json()["items"][0])
    context.add_init_script(SUBSCRIBE_AND_KEEP.replace("JSON_HERE", subscription))
    page = context.new_page()
    press_get_alerts(page, story)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/me")
    expect(page.get_by_role("button", name=ALERTS_ON)).to_be_visible()
    page.get_by_role("button", name=button, exact=True).click()
    expect(
        page.get_by_text(re.compile("The device is removed|You are forgotten|All alerts are off"))
    ).to_be_visible()
    page.goto(str(story["url"]))
    expect(page.get_by_role("button", name="Get alerts")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("button", name="Get alerts")).to_be_visible()
    page.goto("/me")
    expect(page.get_by_role("button", name="Remove", exact=True)).to_have_count(0)


def choose_topics(dialog: Locator) -> None:
    """Allow alerts, first without a topic, which the dialog refuses."""
    allow = dialog.get_by_role("button", name="Allow alerts")
    chosen = dialog.locator("[name=topic]:checked").all()
    paths = [box.get_attribute("value") for box in chosen]
    boxes = [dialog.locator(f"[name=topic][value='{path}']") for path in paths]
    for box in boxes:
        box.uncheck()
    allow.click()
    expect(dialog.get_by_text("Choose at least one topic.")).to_be_visible()
    for box in boxes:
        box.check()
    expect(dialog.get_by_role("status")).to_contain_text("You will get every alert on")
    expect(dialog.get_by_role("status")).to_contain_text("In English.")
    allow.click()


def press_get_alerts(page: Page, story: dict[str, Any]) -> None:
    page.goto(str(story["url"]))
    page.get_by_role("button", name="Get alerts").click()
    page.get_by_role("dialog").get_by_role("button", name="Allow alerts").click()
    expect(page.get_by_role("button", name=ALERTS_ON)).to_be_visible()


def notifications(page: Page) -> list[list[str]]:
    """Return what stands on the screen: title, body, tag and where it leads."""
    found: list[list[str]] = page.evaluate(
        "navigator.serviceWorker.ready.then(worker => worker.getNotifications())"
        ".then(all => all.map(one => [one.title, one.body, one.tag, one.data.newszop.url]))"
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
    system: System, open_context: OpenContext
) -> None:
    context = open_context()
    context.add_init_script(
        "Object.defineProperty(Notification, 'permission', { get: () => 'denied' })"
    )
    page = context.new_page()
    page.goto(story_path(system))
    page.get_by_role("button", name="Get alerts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Allow notifications in the site settings")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert not context.cookies(f"{system.url}/me")


def test_a_browser_without_push_says_so_and_still_follows(
    system: System, open_context: OpenContext
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


def test_following_works_without_scripts(system: System, open_context: OpenContext) -> None:
    page = open_context(PHONE, java_script_enabled=False).new_page()
    page.goto(story_path(system))
    page.get_by_role("button", name="Follow Climate").click()
    expect(page).to_have_url(re.compile("/me"))
    expect(page.get_by_text("You follow it now.")).to_be_visible()
    expect(page.get_by_role("button", name="Unfollow Climate")).to_be_visible()
    page.get_by_role("link", name="Back to where you were").click()
    expect(page).to_have_url(system.url + story_path(system))


def test_the_next_story_opens_by_link_and_by_key_in_both_directions(
    system: System, open_context: OpenContext
) -> None:
    page = open_context().new_page()
    newest, arabic = "The rain stops", "توقف المطر"
    page.goto(str(system.ingest(headline=newest)["url"]))
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).not_to_have_text(newest)
    page.get_by_role("link", name="Next Story").click()
    expect(page.locator("h1")).to_be_visible()
    page.goto(str(system.ingest(headline=arabic, language="ar")["url"]))
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text(arabic)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("h1")).to_have_text(HEADLINES["ar"])


def test_a_story_that_was_read_can_be_read_offline(
    system: System, open_context: OpenContext
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


def pages(system: System) -> dict[str, list[str]]:
    """Return every page, by who may see it."""
    story = system.answer("GET", "/api/stories")["items"][-1]
    alert = system.answer("GET", "/api/alerts")["items"][0]
    desk = f"/desk/stories/{story['id']}"
    stories = [story_path(system, language) for language in HEADLINES]
    public = ["/", "/topics", "/topics/world", "/me", "/login", "/offline", "/phones", "/nothing"]
    public.append("/docs/start")
    desks = ["/desk", "/desk/stories/new", desk, f"{desk}/push", f"{desk}/revisions"]
    reports = ["/desk/reports/month", "/desk/reports/audience"]
    alerts = ["/desk/alerts", f"/desk/alerts/{alert['id']}", *reports, "/desk/account"]
    return {
        "": [*public, *stories],
        "editor": [*desks, *alerts, stories[0]],
        "admin": [
            *("/control", "/control/people", "/control/topics", "/control/audit"),
            *("/control/apps", "/control/apps/webpush", "/control/apps/new/apns"),
            "/control/test-push",
        ],
    }


@pytest.mark.parametrize("who", ["", "editor", "admin"], ids=["reader", "editor", "admin"])
def test_axe_finds_nothing_and_no_page_is_wider_than_its_screen(
    system: System, open_context: OpenContext, who: str
) -> None:
    """Each page on a phone in the dark by all rules; then, wide and light, by those of looks."""
    found = []
    page = open_context(PHONE, reduced_motion="reduce").new_page()
    if who:
        sign_in(page, who)
    else:
        page.goto(story_path(system))
        page.get_by_role("button", name="Follow Climate").click()
        expect(page.get_by_role("button", name="Following Climate")).to_be_visible()
    for path in pages(system)[who]:
        show(page, PHONE, "dark")
        page.goto(path)
        found += [f"{path}: {fault}" for fault in faults(page, AXE)]
        show(page, DESK, "light")
        found += [f"{path}, wide: {fault}" for fault in faults(page, AXE_OF_LOOKS)]
    assert not found, "\n".join(found)


def show(page: Page, width: int, scheme: Literal["dark", "light"]) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)


def faults(page: Page, options: dict[str, Any]) -> list[str]:
    """Return what axe finds wrong with a page, and whether it is too wide."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    run = "options => axe.run(options).then(result => result.violations)"
    found = [
        f"{one['id']} {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in page.evaluate(run, options)
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than the screen")
    return found


def test_the_get_alerts_dialog_passes_axe(system: System, open_context: OpenContext) -> None:
    page = open_context(PHONE, color_scheme="dark").new_page()
    page.goto(story_path(system))
    page.get_by_role("button", name="Get alerts").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert not Axe().run(page, options=AXE).response["violations"]
