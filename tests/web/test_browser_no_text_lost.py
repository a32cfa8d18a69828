"""No typed text is lost in a real browser: the session ends, the network goes, two people write."""

import re

from playwright.sync_api import Page, expect
from sqlalchemy import text

from service.store.session import transaction
from service.store.staff import accounts
from tests.system import System
from tests.web.browsing import IN_A_BROWSER, PASSWORD, OpenContext, sign_in

pytestmark = IN_A_BROWSER


def end_sessions(system: System) -> None:
    with transaction(system.engine) as session:
        for member in accounts.list_staff(session):
            accounts.close_sessions_of(session, member.id)


def open_editor(system: System, open_context: OpenContext, headline: str) -> Page:
    story = system.ingest(headline=headline, topics=["world/asia"])
    page = open_context().new_page()
    sign_in(page, "editor")
    page.goto(f"/desk/stories/{story['id']}")
    return page


def type_text(page: Page, words: str) -> None:
    page.get_by_role("textbox", name="Text").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(words)


def enter_password(page: Page) -> None:
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("You are signed out")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_be_hidden()


def test_a_session_that_ends_while_somebody_writes_is_renewed_within_the_page(
    system: System, open_context: OpenContext
) -> None:
    page = open_editor(system, open_context, "Written across two sessions")
    end_sessions(system)
    type_text(page, " Typed while signed out.")
    enter_password(page)
    expect(page.get_by_text("Autosaved at")).to_be_visible()
    end_sessions(system)
    type_text(page, " And again.")
    page.get_by_role("button", name="Save", exact=True).click()
    enter_password(page)
    expect(page.get_by_text("No alert was sent.")).to_be_visible()
    story = system.answer("GET", f"/api/stories/{page.url.rpartition('/')[2]}")
    assert "Typed while signed out. And again." in story["body"]


def test_text_typed_without_a_connection_is_there_after_the_browser_was_closed(
    system: System, open_context: OpenContext
) -> None:
    page = open_editor(system, open_context, "Written in a tunnel")
    address = page.url
    page.context.set_offline(True)
    type_text(page, " Typed in the tunnel.")
    expect(page.get_by_text("Your text is kept in this browser.")).to_be_visible()
    copy = page.evaluate("Object.entries(localStorage)")
    page.close(run_before_unload=False)
    page.context.set_offline(False)
    # A browser that is killed sends no last request, as a closing page does.
    with transaction(system.engine) as session:
        session.execute(text("DELETE FROM autosave"))
    page = page.context.new_page()
    page.goto("/desk")
    page.evaluate(
        "items => items.forEach(([name, value]) => localStorage.setItem(name, value))", copy
    )
    page.goto(address)
    # the server's own copy came as well where the closing page still got its last request through
    restored = page.get_by_text(re.compile("(Text that had not reached|unsaved changes).*restored"))
    expect(restored).to_be_visible()
    expect(page.get_by_role("textbox", name="Text")).to_contain_text("Typed in the tunnel.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("No alert was sent.")).to_be_visible()
    page.goto(address)
    expect(restored).to_be_hidden()


def test_who_saves_second_sees_what_differs_and_loses_nothing(
    system: System, open_context: OpenContext
) -> None:
    page = open_editor(system, open_context, "Written by two")
    other = open_context().new_page()
    sign_in(other, "admin")
    other.goto(page.url)
    type_text(other, " From the other desk.")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(other.get_by_text("No alert was sent.")).to_be_visible()
    type_text(page, " From this desk.")
    page.get_by_role("button", name="Save", exact=True).click()
    conflict = page.locator("[data-conflict]")
    expect(conflict).to_contain_text(re.compile(r"admin@news.example saved version \d+"))
    expect(conflict.locator(".diff del")).to_contain_text("the other")
    expect(conflict.locator(".diff ins")).to_contain_text("this")
    page.get_by_role("button", name="Save mine in place of theirs").click()
    expect(page.get_by_text("No alert was sent.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Text")).to_contain_text("From this desk.")
