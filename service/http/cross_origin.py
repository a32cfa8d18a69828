"""CORS for readers' calls: the sites of our web apps may make them, and nobody else (Fetch, 3.2).

No cookie is ever accepted from another site: readers' calls there carry a Bearer token. The
newsroom's calls are not in the table, so no other site's script can make them or read an answer.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import structlog
from sqlalchemy import Engine
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.limits.call_turn import without_turn
from service.store.operations import apps
from service.store.session import DATABASE_AWAY, transaction

log = structlog.get_logger()

CALLS = tuple(
    (start, re.compile(rest), methods)
    for start, rest, methods in (
        ("/api/readers", "", ("POST",)),
        ("/api/me", "(/.*)?", ("GET", "POST", "PUT", "PATCH", "DELETE")),
        ("/api/receipts", "", ("POST",)),
        ("/api/topics", "", ("GET",)),
        ("/api/stories", "(/[^/]+(/next)?)?", ("GET",)),
        ("/api/web-apps/", "[^/]+", ("GET",)),
        ("/kit/", ".+", ("GET",)),
    )
)
"""What a page of a web app's site may call: the start of the path, what follows it, the methods."""
HEADERS = "authorization, content-type"
PREFLIGHT_S = 7200
"""How long a browser may remember a preflight's answer; Chromium takes no longer."""
ORIGINS_S = 5.0
"""How long a list of origins is used without a query."""


@dataclass(slots=True)
class SiteOrigins:
    """The origins that our web apps list, as of some seconds ago. Bounded by the apps there are."""

    load: Callable[[], frozenset[str]]
    _origins: frozenset[str] = frozenset()
    _until: float = -1.0
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def has(self, origin: str) -> bool:
        """Whether an app lists the origin; a database that is away changes nothing of the list."""
        if time.monotonic() >= self._until:
            async with self._lock:
                if time.monotonic() >= self._until:
                    await self._refresh()
        return origin in self._origins

    async def _refresh(self) -> None:
        try:
            self._origins = await anyio.to_thread.run_sync(self.load)
        except DATABASE_AWAY as error:
            log.warning("Postgres did not answer", path="origins", error=type(error).__name__)
        finally:
            self._until = time.monotonic() + ORIGINS_S


def site_origins(engine: Engine) -> SiteOrigins:
    """Return the origins of every web app in use."""

    def load() -> frozenset[str]:
        with transaction(engine) as session:
            return frozenset(origin for app in apps.web_apps(session) for origin in app.origins)

    return SiteOrigins(load)


class AllowSites:
    """Answers preflights, and marks the answers that a page of a listed site may read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer its preflight."""
        methods = _methods(scope["path"]) if scope["type"] == "http" else ()
        if not methods or not _has_to_be_marked(scope):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        site = await listed_origin(scope, headers.get("origin", ""))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _answer_preflight(send, site, methods)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                mark(MutableHeaders(scope=message), site)
            await send(message)

        await self.app(scope, receive, send_marked)


def mark(headers: MutableHeaders, site: str) -> None:
    """Let a listed site read the answer; an empty text is none."""
    headers.add_vary_header("Origin")
    if site:
        headers["Access-Control-Allow-Origin"] = site
        headers["Access-Control-Expose-Headers"] = "Retry-After"


def _methods(path: str) -> tuple[str, ...]:
    for start, rest, methods in CALLS:
        if path.startswith(start):
            return methods if rest.fullmatch(path, len(start)) else ()
    return ()


def _has_to_be_marked(scope: Scope) -> bool:
    """Whether the answer depends on its origin: one without any matters only where caches keep it.

    They keep no answer to a token, nor to a call that changes something.
    """
    names = {name for name, _ in scope["headers"]}
    is_kept = scope["method"] in ("GET", "OPTIONS") and b"authorization" not in names
    return is_kept or b"origin" in names


async def listed_origin(scope: Scope, origin: str) -> str:
    """Return the origin when an app lists it, else an empty text."""
    if not origin or origin == "null":
        return ""
    async with without_turn(scope):
        return origin if await scope["app"].state.site_origins.has(origin) else ""


async def _answer_preflight(send: Send, site: str, methods: tuple[str, ...]) -> None:
    headers = {"Vary": "Origin"}
    if site:
        headers |= {
            "Access-Control-Allow-Origin": site,
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
