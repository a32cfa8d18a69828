"""What the tests in a real browser share: who signs in, how wide a screen is, where a story is."""

import re
import shutil
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.system import System

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
HEADLESS = shutil.which("chromium-headless-shell") or CHROMIUM
"""Chromium without windows and notifications, which takes half the time; else the other."""
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not found: browser tests are skipped"),
]
PASSWORD = "correct horse battery staple"
PHONE, DESK = 360, 1440
HEADLINES = {"en": "Rain at last", "ar": "مطر أخيراً", "hi": "आख़िरकार बारिश"}
BODY = "<p>The first drops fell at noon.</p><h2>What next</h2><p>More of it.</p>"
AXE = {"resultTypes": ["violations"]}
"""Axe lists only what it finds wrong, which takes it less time."""
OpenContext = Callable[..., BrowserContext]


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
