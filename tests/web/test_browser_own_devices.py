"""In a real browser: an editor ties devices on My alerts and tries the words out on them."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.journeys.people import People
from tests.system import System
from tests.web.browsing import AXE, DESK, IN_A_BROWSER, PHONE, OpenContext, sign_in

pytestmark = IN_A_BROWSER
SEEN = [(PHONE, "with scripts"), (DESK, "without scripts")]


@pytest.mark.parametrize(("width", "scripts"), SEEN)
def test_an_editor_pairs_devices_and_sees_a_test_arrive_while_still_writing(
    system: System, open_context: OpenContext, width: int, scripts: str
) -> None:
    readers = People(system)
    mine = readers.follower_on_all()
    story = system.ingest(headline="In the making", topics=[readers.topic], state="draft")
    context = open_context(width, java_script_enabled=scripts == "with scripts")
    page = context.new_page()
    sign_in(page, "editor")
    page.goto(f"/desk/stories/{story['id']}/push")
    button = page.get_by_role("button", name="Send a test to my devices")
    expect(button).to_be_disabled()
    context.add_cookies(
        [{"name": "newszop_reader", "value": mine.token, "url": f"{system.url}/me"}]
    )
    page.get_by_role("link", name="My alerts").click()
    page.get_by_role("button", name="Send my test pushes to these devices").click()
    expect(page.get_by_text("come to these devices now")).to_be_visible()

    page.goto(f"/desk/stories/{story['id']}/push")
    page.get_by_label("Title", exact=True).first.fill("Not the headline")
    expect(button).to_have_text(re.compile(r"\(3\)"))
    button.click()
    expect(page.get_by_label("Title", exact=True).first).to_have_value("Not the headline")
    result = page.get_by_role("region", name="Try it first")
    if scripts == "with scripts":
        expect(page).to_have_url(re.compile("/push$"))
        expect(result.get_by_text("Accepted", exact=True)).to_have_count(3, timeout=30_000)
        found = Axe().run(page, options=AXE)
        assert not found.violations_count, found.generate_report()
    result.get_by_role("link", name="The test's report").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Only to its sender")
    expect(page.locator("[data-state]")).to_have_text("Finished", timeout=30_000)
    expect(page.locator('[data-total="accepted"]').first).to_have_text("3")
    arrived = system.pushes(alert_id=page.url.rpartition("/")[2])["items"]
    assert {push["title"] for push in arrived} == {"Not the headline"}
    assert {push["address"] for push in arrived} == {one["address"] for one in mine.devices}
    page.goto("/me")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("These devices get no more tests.")).to_be_visible()
