"""The script that shows stories in the reader's languages first, on pages of its own making."""

import json

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from service.web.rendering import STATIC
from tests.web.browsing import IN_A_BROWSER

pytestmark = IN_A_BROWSER
SITE = "http://news.example"
SCRIPT = STATIC / "js" / "unread.js"
OTHER, OTHERS = "One story in another language", "{n} stories in other languages"
WORDS = json.dumps({f"{OTHERS} are not shown.": "{n} weitere"})


def page_of(languages: str, next_page: int | None) -> str:
    items = "".join(
        f'<li data-story-language="{tag}">{tag} story</li>' for tag in languages.split()
    )
    pager = f'<nav class="pager"><a rel="next" href="?before={next_page}">Older</a></nav>'
    return f"""<!doctype html><meta charset="utf-8"><script src="/unread.js"></script>
        <script type="application/json" id="words">{WORDS}</script>
        <ul class="story-list">{items}</ul>
        <p data-unread-notice hidden><span data-unread-count></span>
        <button data-show-unread>Show them</button></p>{pager if next_page else ""}"""


PAGES = {
    "": page_of("hi en hi hi", 1),
    "before=1": page_of("hi en en", 2),
    "before=2": page_of("en mr", None),
}


@pytest.fixture
def page(browser: Browser) -> Page:
    def answer(route: Route) -> None:
        address = route.request.url.removeprefix(SITE)
        if address == "/unread.js":
            route.fulfill(body=SCRIPT.read_text(), content_type="text/javascript")
        else:
            route.fulfill(body=PAGES[address.partition("?")[2]], content_type="text/html")

    context = browser.new_context(locale="en-GB")
    context.route(f"{SITE}/**", answer)
    yield context.new_page()
    context.close()


def test_stories_of_later_pages_fill_the_place_of_those_that_are_not_read(page: Page) -> None:
    page.goto(SITE)
    stories = page.locator("[data-story-language]")
    expect(stories).to_have_count(9)
    expect(stories.filter(visible=True)).to_have_text(["en story"] * 4)
    expect(page.locator("[data-unread-count]")).to_have_text("5 weitere")
    expect(page.locator(".pager")).to_have_count(0)
    page.get_by_role("button").click()
    expect(stories.filter(visible=True)).to_have_count(9)
    page.reload()
    expect(stories.filter(visible=True)).to_have_count(4)
    expect(page.get_by_role("button")).to_be_hidden()


def test_who_reads_none_of_the_languages_or_all_sees_the_page_as_it_is(page: Page) -> None:
    for known in ("ja", "hi en"):
        page.goto(SITE)
        page.evaluate(f"localStorage.setItem('newszop.languages', '{json.dumps(known.split())}')")
        page.goto(SITE)
        expect(page.locator("[data-story-language]").filter(visible=True)).to_have_count(4)
        expect(page.locator("[data-unread-notice]")).to_be_hidden()
