"""Writing in a real browser: pasted text keeps what stories have, and pictures are uploaded."""

import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect
from sqlalchemy import text

from service.store.session import transaction
from service.store.staff import accounts
from tests.sample_pictures import photograph
from tests.system import System
from tests.web.browsing import IN_A_BROWSER, PHONE, OpenContext

pytestmark = IN_A_BROWSER

CLIPBOARDS = Path(__file__).parent / "clipboard"
CLEAN = """async (html) => {
    const script = [...document.scripts].find((one) => one.src.endsWith("js/story-form.js")).src;
    return (await import(new URL("pasted-text.js", script))).cleanPasted(html);
}"""
PASTE = """([html, plain]) => {
    const area = document.querySelector(".rich");
    area.focus();
    const data = new DataTransfer();
    if (html) data.setData("text/html", html);
    data.setData("text/plain", plain);
    const event = { clipboardData: data, bubbles: true, cancelable: true };
    area.dispatchEvent(new ClipboardEvent("paste", event));
}"""
GIVE = """([kind, content, name]) => {
    const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type: "image/jpeg" }));
    const options = { bubbles: true, cancelable: true };
    const event = kind === "paste"
        ? new ClipboardEvent("paste", { ...options, clipboardData: data })
        : new DragEvent("drop", { ...options, dataTransfer: data });
    document.querySelector(kind === "paste" ? ".rich" : "#headline").dispatchEvent(event);
}"""
PIECES = {
    "<meta charset='utf-8'><span style='font-weight:600'>a b</span>": "<strong>a b</strong>",
    "<b>a</b><b>b</b> <i>c</i>": "<strong>ab </strong><em>c</em>",
    "<p></p><div> </div><ul><li></li></ul>": "",
    "<p>a<svg onload=x()></svg><img src=x onerror=x()></p>": "<p>a</p>",
    "<a href='https://a.example/' style='x'>b</a>": '<a href="https://a.example/">b</a>',
    "<form>So <img alt='\U0001f327' src='https://s.example/1.svg'>!</form>": "So \U0001f327!",
    "<table><tr><td><p>one</p><p>cell</p></td></tr></table>": "<p>one</p><p>cell</p>",
    "<div>" * 1000 + "deep": "",
}
"""What is on the clipboard, and what becomes of it."""


@pytest.fixture
def page(system: System, open_context: OpenContext) -> Page:
    """An empty story in the editor, on a phone."""
    now = datetime.now(UTC)
    with transaction(system.engine) as session:
        query = text("SELECT id FROM staff WHERE email = 'editor@news.example'")
        editor = session.execute(query).scalar_one()
        token = accounts.open_session(session, editor, now, timedelta(hours=1))
    context = open_context(PHONE)
    context.add_cookies([{"name": "newszop_staff", "value": token, "url": system.url}])
    opened = context.new_page()
    opened.goto("/desk/stories/new")
    expect(opened.locator(".rich")).to_be_visible()
    return opened


def test_text_of_word_processors_and_pages_becomes_what_stories_have(page: Page) -> None:
    left_out = {"word": 1, "docs": 1, "page": 1, "libreoffice": 0}
    for name, number in left_out.items():
        pasted = page.evaluate(CLEAN, (CLIPBOARDS / f"{name}.html").read_text())
        lines = (CLIPBOARDS / f"{name}.clean.html").read_text().splitlines()
        clean = "\n".join(lines).replace(">\n<", "><")
        assert pasted["html"] == clean, name
        assert (pasted["leftOut"], pasted["isInline"]) == (number, False), name
    for piece, clean in PIECES.items():
        assert page.evaluate(CLEAN, piece)["html"] == clean, piece


def test_a_pasted_document_is_saved_as_it_was_pasted_with_its_pictures(
    system: System, page: Page
) -> None:
    source = base64.b64encode(photograph(60, 40)).decode()
    html = (
        '<h1>Before</h1><p class=MsoNormal>A <b>bold</b> word.</p><p><img alt="Two halves" '
        f'src="data:image/jpeg;base64,{source}"></p><p><img src="file:///C:/a.png"></p><p>After.</p>'
    )
    page.get_by_label("Headline").fill("Pasted from a word processor")
    page.evaluate(PASTE, [html, "Before A bold word. After."])
    status = page.locator("[data-picture-status]")
    expect(status).to_contain_text("A picture of the pasted text could not be taken over")
    picture = page.locator('.rich img[src^="/media/"]')
    expect(picture).to_have_attribute("alt", "Two halves")
    page.evaluate(PASTE, ["", "\n\nPlain & simple"])
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("The story is published")).to_be_visible()
    stories = system.answer("GET", "/api/stories?q=word processor")["items"]
    body = system.answer("GET", f"/api/stories/{stories[0]['id']}")["body"]
    assert "<h2>Before</h2>" in body
    assert "<p>A <strong>bold</strong> word.</p>" in body
    assert f'<img src="{system.url}/media/' in body
    assert "Plain &amp; simple" in body
    for refused in ("data:", "file:", "Mso", "style", "<span"):
        assert refused not in body


def give(page: Page, kind: str, source: bytes) -> None:
    page.evaluate(GIVE, [kind, base64.b64encode(source).decode(), "photo.jpg"])


def test_an_editor_adds_a_picture_says_what_it_shows_and_readers_get_the_size_that_fits(
    page: Page,
) -> None:
    errors, questions = [], []

    def answer(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.dismiss()

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", answer)
    page.get_by_label("Headline").fill("A picture from the phone")
    page.get_by_role("textbox", name="Text", exact=True).click()
    page.keyboard.type("What happened.")
    address, status = page.locator("#image_url"), page.locator("[data-picture-status]")
    give(page, "drop", photograph(90, 60))
    expect(address).to_have_value(re.compile("/media/"))
    dropped = address.input_value()
    give(page, "paste", photograph(80, 60))
    expect(address).not_to_have_value(dropped)
    give(page, "drop", b"no picture at all")
    expect(status).to_contain_text("This is no picture that is taken")
    page.get_by_role("button", name="Remove it").click()
    expect(address).to_have_value("")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add a picture").click()
    photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photograph(900, 500, turned=1)}
    chooser.value.set_files(photo)
    expect(status).to_have_text("Uploaded. Now say what it shows.")
    expect(page.locator("[data-picture-shown]")).to_have_attribute("src", re.compile("/media/"))
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_label("What the picture shows")).to_be_focused()
    assert "for readers who do not see it" in questions[0]
    page.keyboard.type("Red on the left, blue on the right")
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="View").click()
    picture = page.locator(".story-figure img")
    expect(picture).to_have_attribute("alt", "Red on the left, blue on the right")
    expect(picture).to_have_js_property("complete", value=True)
    source, width, height = picture.evaluate("one => [one.currentSrc, one.width, one.height]")
    assert source.endswith("-400.webp")
    assert width / height == pytest.approx(900 / 500, rel=0.02)
    assert picture.get_attribute("width") == "900"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert errors == []


def test_a_picture_that_leads_nowhere_leaves_no_gap_on_the_front_page(
    system: System, open_context: OpenContext
) -> None:
    system.ingest(headline="Gone picture", image_url="https://127.0.0.1:9/gone.jpg")
    page = open_context().new_page()
    page.goto("/")
    expect(page.get_by_role("link", name="Gone picture")).to_be_visible()
    expect(page.locator('img[src="https://127.0.0.1:9/gone.jpg"]')).to_have_count(0)
