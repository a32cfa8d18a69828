"""A publisher's own site with the web kit, in a real browser: another origin, one script tag."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from service.store.operations import apps
from service.store.session import transaction
from tests.journeys.people import People
from tests.system import System
from tests.web.browsing import AXE, IN_A_BROWSER, PHONE, OpenContext

pytestmark = [*IN_A_BROWSER, pytest.mark.notifications]

SUBSCRIBE = """
    PushManager.prototype.subscribe = async function (options) {
        const { address, keys } = JSON_HERE;
        const toJSON = () => ({ endpoint: address, keys });
        const unsubscribe = async () => true;
        window.subscription = { endpoint: address, options, toJSON, unsubscribe };
        return window.subscription;
    };
    PushManager.prototype.getSubscription = async () => window.subscription ?? null;
"""
PAGE = """<!doctype html><html lang="en"><title>The Publisher</title><main>
<h1>The Publisher</h1><div id="preferences"></div></main>
<script src="{kit}/kit/newszop.js"></script><script src="/site.js"></script>"""
SITE_SCRIPT = """
    navigator.serviceWorker.register("/app-worker.js");
    const prompt = {{ topics: ["{topic}"] }};
    window.ready = newszop.init({{ server: "{kit}", app: "webpush", prompt }});
    window.states = [];
    newszop.on("change", (state) => window.states.push(state.on));
    window.ready.then(() => newszop.prompt());
"""


@pytest.fixture
def publisher(system: System) -> Iterator[str]:
    """Serve a site of another origin that the default web app lists; return its origin."""
    readers = People(system)
    files = {
        "/": ("text/html", PAGE.format(kit=system.url)),
        "/site.js": ("text/javascript", SITE_SCRIPT.format(kit=system.url, topic=readers.topic)),
        "/newszop-sw.js": (
            "text/javascript",
            f'importScripts("{system.url}/kit/newszop-sw.js");',
        ),
        "/app-worker.js": ("text/javascript", "self.addEventListener('fetch', () => {});"),
    }

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = files.get(self.path.split("?")[0], ("text/plain", ""))
            self.send_response(200 if text else 404)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    with transaction(system.engine) as session:
        row = apps.lock(session, "webpush")
        app = apps.App(name="webpush", provider="webpush", origins=(origin,))
        _ = apps.add(session, app) if row is None else apps.save(session, app)
    system.topic = readers.topic
    yield origin
    server.shutdown()
    server.server_close()


def visit(page: Page, origin: str) -> None:
    """Open the page twice: the first view asks nothing."""
    page.goto(origin)
    page.evaluate("window.ready")
    page.goto(origin)
    page.evaluate("window.ready")


def context_of_a_reader(system: System, open_context: OpenContext) -> BrowserContext:
    made = system.control.post("/control/subscriptions", json={"provider": "webpush"})
    context = open_context(PHONE)
    context.grant_permissions(["notifications"])
    subscription = json.dumps(made.json()["items"][0])
    context.add_init_script(SUBSCRIBE.replace("JSON_HERE", subscription))
    return context


def test_from_the_soft_prompt_to_a_shown_alert_beside_the_sites_own_worker(
    system: System, open_context: OpenContext, publisher: str
) -> None:
    system.await_true(lambda: is_allowed(system, publisher), "the origin is allowed")
    context = context_of_a_reader(system, open_context)
    page = context.new_page()
    system.ingest(headline="First", topics=[system.topic])
    visit(page, publisher)
    prompt = page.get_by_role("dialog", name="Get the news as it breaks")
    expect(prompt).to_be_visible()
    assert not Axe().run(page, options=AXE).response["violations"]
    prompt.get_by_role("button", name="Yes, alert me").click()
    page.wait_for_function("window.states.at(-1) === true")
    scopes = page.evaluate(
        "navigator.serviceWorker.getRegistrations().then((all) => all.map((one) => one.scope))"
    )
    assert sorted(scopes) == [f"{publisher}/", f"{publisher}/newszop/"]

    alert = system.send(system.ingest(headline="Rain", topics=[system.topic]), title="It rains")
    assert system.finished(alert)["totals"]["accepted"] == 1
    pushed = system.pushes(alert_id=alert["id"])["items"][0]
    deliver(context, page, publisher, dict(pushed))
    worker = "navigator.serviceWorker.getRegistration('/newszop/')"
    shown = f"{worker}.then((one) => one.getNotifications()).then((all) => all.map((n) => n.title))"
    system.await_true(lambda: page.evaluate(shown) == ["It rains"], "the notification stands")
    system.await_true(lambda: system.alert(alert)["receipts"]["shown"] == 1, "shown is counted")


def test_preferences_follow_and_turn_off(
    system: System, open_context: OpenContext, publisher: str
) -> None:
    system.await_true(lambda: is_allowed(system, publisher), "the origin is allowed")
    system.ingest(headline="First", topics=[system.topic])
    context = context_of_a_reader(system, open_context)
    page = context.new_page()
    page.goto(publisher)
    page.evaluate("window.ready")
    page.evaluate("newszop.preferences(document.querySelector('#preferences'))")
    assert not Axe().run(page, options=AXE).response["violations"]
    page.get_by_role("button", name="Turn alerts on").click()
    expect(page.get_by_text("Alerts are on")).to_be_visible()
    page.locator(f'input[value="{system.topic}"]').check()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    page.wait_for_function("newszop.topics().then((all) => all.some((one) => one.followed))")
    page.get_by_label("From").fill("22:00")
    page.get_by_label("To").fill("07:00")
    hours = "newszop.me().then((me) => me.quiet_hours?.to)"
    page.wait_for_function(f"({hours}).then((to) => to === '07:00')")
    page.get_by_role("button", name="Turn alerts off").click()
    expect(page.get_by_text("Alerts are off")).to_be_visible()
    assert page.evaluate("newszop.account.list('/api/me/devices').then((all) => all.length)") == 0


def test_the_server_decides_whether_alerts_are_on(
    system: System, open_context: OpenContext, publisher: str
) -> None:
    system.await_true(lambda: is_allowed(system, publisher), "the origin is allowed")
    context = context_of_a_reader(system, open_context)
    page = context.new_page()
    page.goto(publisher)
    page.evaluate("window.ready")
    page.evaluate("newszop.subscribe()")
    page.evaluate(
        "newszop.account.list('/api/me/devices').then("
        "([{ id }]) => newszop.account.json('DELETE', `/api/me/devices/${id}`))"
    )
    page.evaluate(
        "localStorage.setItem('newszop.device', JSON.stringify({"
        "...JSON.parse(localStorage.getItem('newszop.device')), confirmedAt: 0 }))"
    )
    assert page.evaluate("newszop.device.reconcile()") is True
    assert page.evaluate("newszop.account.list('/api/me/devices').then((all) => all.length)") == 1


def test_a_site_that_is_not_listed_is_refused(
    system: System, open_context: OpenContext, publisher: str
) -> None:
    page = open_context(PHONE).new_page()
    page.goto(publisher.replace("127.0.0.1", "localhost"))
    refused = "fetch('KIT/api/topics').then(() => 'read', () => 'refused')"
    assert page.evaluate(refused.replace("KIT", system.url)) == "refused"


def is_allowed(system: System, origin: str) -> bool:
    answer = system.api.get("/api/topics", headers={"Origin": origin})
    return bool(answer.headers.get("access-control-allow-origin") == origin)


def deliver(context: BrowserContext, page: Page, origin: str, message: dict[str, Any]) -> None:
    """Bring a push to the kit's worker as the browser's own push service would."""
    devtools = context.new_cdp_session(page)
    known: list[dict[str, Any]] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: known.extend(event["registrations"]),
    )
    devtools.send("ServiceWorker.enable")
    page.wait_for_timeout(300)
    own = next(one for one in known if one["scopeURL"].endswith("/newszop/"))
    parts = {"origin": origin, "registrationId": own["registrationId"]}
    devtools.send("ServiceWorker.deliverPushMessage", parts | {"data": json.dumps(message)})
