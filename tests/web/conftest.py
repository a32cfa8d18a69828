"""The site as its visitors meet it: anonymous, a reader, an editor, an admin."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright
from sqlalchemy import Engine

from service.domain.people import Role, Scope
from service.settings import Settings
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.staff import accounts
from tests.shared_builds import build_app, build_settings
from tests.site_client import SiteClient
from tests.system import System
from tests.web.browsing import BODY, CHROMIUM, DESK, HEADLESS, HEADLINES, PASSWORD, OpenContext

SITE = "http://news.example"


@pytest.fixture
def settings(engine: Engine, database_url: str, redis_url: str, request: Any) -> Settings:
    """Settings of the site; a test changes some with `@pytest.mark.parametrize(..., indirect)`."""
    given: dict[str, Any] = getattr(request, "param", {})
    return build_settings(
        **{
            "database_url": database_url,
            "redis_url": redis_url,
            "secret_key": "a secret that only tests know",
            "public_url": SITE,
            "providers": ("apns", "fcm", "webpush"),
            "app_url": "https://app.example/get",
            "db_pool": 4,
            "undo_seconds": 0,
        }
        | given,
    )


@pytest.fixture(autouse=True)
def providers(configured: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in configured.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NEWSZOP_PROVIDERS", "apns,fcm,webpush")


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return build_app(settings)


class Visitor(SiteClient):
    """A browser without scripts: it keeps cookies, follows no redirect, reads forms."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            app,
            base_url=SITE,
            raise_server_exceptions=False,
            client=("203.0.113.7", 50_000),
            follow_redirects=False,
            headers={"Accept": "text/html"},
        )

    def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/login", data={"email": email, "password": password})

    def token(self, page: str = "/desk") -> str:
        """Return the token that this session's forms carry."""
        found = re.search(r'name="csrf-token" content="([0-9a-f]+)"', self.get(page).text)
        assert found, "the page has no token"
        return found[1]

    def submit(self, path: str, /, **fields: Any) -> httpx.Response:
        """Send one of our forms, with its token."""
        return self.post(path, data={"csrf": self.token()} | fields)


@pytest.fixture
def visitor(app: FastAPI) -> Iterator[Visitor]:
    with Visitor(app) as opened:
        yield opened


@pytest.fixture
def make_staff(app: FastAPI, engine: Engine) -> Callable[[str, Role], Visitor]:
    """Make somebody who is signed in; without a password, because hashing one takes its time."""

    def make(name: str, role: Role) -> Visitor:
        now = datetime.now(UTC)
        with transaction(engine) as session:
            person = StaffRow(email=f"{name}@news.example", password_hash="none", role=role)
            session.add(person)
            session.flush()
            token = accounts.open_session(session, person.id, now, timedelta(hours=1))
        signed_in = Visitor(app)
        signed_in.cookies.set("newszop_staff", token)
        return signed_in

    return make


@pytest.fixture
def editor(make_staff: Callable[[str, Role], Visitor]) -> Visitor:
    return make_staff("editor", Role.EDITOR)


@pytest.fixture
def admin(make_staff: Callable[[str, Role], Visitor]) -> Visitor:
    return make_staff("admin", Role.ADMIN)


@pytest.fixture
def ingest(app: FastAPI, engine: Engine) -> Callable[..., dict[str, Any]]:
    """Bring a story in as an agency does."""
    with transaction(engine) as session:
        _, key = accounts.add_key(session, "agency", frozenset(Scope))
    machine = SiteClient(app, headers={"Authorization": f"Bearer {key}"})

    def bring(headline: str = "Rain at last", **given: Any) -> dict[str, Any]:
        story = {"headline": headline, "body": "<p>It rains.</p>", "summary": "It pours."}
        answer = machine.post("/api/stories", json=story | given)
        assert answer.is_success, answer.text
        return dict(answer.json())

    bring.machine = machine  # type: ignore[attr-defined]
    return bring


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """The whole system, its people, and a story in each direction of reading."""
    with System(NEWSZOP_DEMO="true") as running:
        with transaction(running.engine) as session:
            accounts.add_staff(session, "editor@news.example", PASSWORD, Role.EDITOR)
            accounts.add_staff(session, "admin@news.example", PASSWORD, Role.ADMIN)
        running.ingest(headline=HEADLINES["en"], body=BODY, topics=["world/asia", "climate"])
        for language in ("ar", "hi"):
            running.ingest(headline=HEADLINES[language], language=language, topics=["world"])
        running.finished(running.send(running.ingest(headline="Sent before", topics=["world"])))
        yield running


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Not for longer than a module, for its event loop keeps others from having one."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium, in which pages look and work as in a window."""
    yield from launch(playwright, HEADLESS)


@pytest.fixture(scope="module")
def notifying_browser(playwright: Playwright) -> Iterator[Browser]:
    """The whole Chromium, which shows notifications too."""
    yield from launch(playwright, CHROMIUM)


def launch(playwright: Playwright, program: str | None) -> Iterator[Browser]:
    # a page lives for seconds: to draw by a pretended GPU and to compile twice does not pay
    quick = ["--disable-software-rasterizer", "--js-flags=--no-opt"]
    arguments = ["--no-sandbox", "--disable-gpu", *quick]
    chromium = playwright.chromium.launch(executable_path=program, args=arguments)
    yield chromium
    chromium.close()


@pytest.fixture
def open_context(system: System, request: pytest.FixtureRequest) -> Iterator[OpenContext]:
    """Open windows of a browser of their own; marked `notifications`, of one that shows them."""
    marked = request.node.get_closest_marker("notifications")
    browser: Browser = request.getfixturevalue("notifying_browser" if marked else "browser")
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
