"""From a template to a response: Jinja's environment and filters, and the headers of every page.

Pages hold no inline script and no inline style, so their policy forbids both. Only two values
are ever marked safe: a story's body, which was sanitized when it entered, and JSON-LD, which is
escaped here.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from service.domain.people import Role, Staff
from service.domain.subscription import Urgency
from service.http.answer_headers import SECURITY_HEADERS
from service.settings import Settings
from service.web import form_guards, formatting, page_language

HERE = Path(__file__).parent
STATIC = HERE / "static"

PRIVATE = "private, no-store"
IMMUTABLE = "public, max-age=31536000, immutable"


@cache
def static_build() -> str:
    """Return a name that changes with any file in static/, so that each may be cached for ever."""
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(STATIC).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def static_url(path: str) -> str:
    """Return the address of a file under static/."""
    return f"/static/{static_build()}/{path}"


def query_string(**parts: str | None) -> str:
    """Return a query of the parts that are not empty, without its question mark."""
    return urlencode({name: value for name, value in parts.items() if value})


def json_ld(value: Mapping[str, Any]) -> Markup:
    """Return JSON for a script element, which no text in a story can close."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - every character with a meaning in HTML was just escaped


class Renderer:
    """Renders templates."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.env = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.env.filters.update(formatting.FILTERS)
        self.env.globals.update(
            settings=settings,
            static=static_url,
            json_ld=json_ld,
            query=query_string,
            _=page_language.in_page_language,
            script_words=page_language.script_words,
            urgencies=tuple(reversed(Urgency)),
            roles=tuple(Role),
        )

    def text(self, template: str, **context: Any) -> str:
        """Return the text of a feed or a fragment."""
        return self.env.get_template(template).render(now=datetime.now(UTC), **context)

    def page(self, request: Request, template: str, **context: Any) -> str:
        """Return a whole page as this visitor may see it."""
        staff: Staff | None = getattr(request.state, "staff", None)
        context.setdefault("staff", staff)
        context.setdefault("pause", getattr(request.state, "pause", None))
        context.setdefault("csrf", form_guards.csrf_token(request) if staff else "")
        context.setdefault("path", request.url.path)
        context.setdefault("sections", ())
        context.setdefault("page_language", page_language.DEFAULT)
        context.setdefault("flash", form_guards.read_flash(request))
        return self.text(template, **context)


def renderer(request: Request) -> Renderer:
    """Return the application's renderer."""
    app_renderer: Renderer = request.app.state.renderer
    return app_renderer


def render(
    request: Request, template: str, *, status: int = 200, cache: str = PRIVATE, **context: Any
) -> HTMLResponse:
    """Return a page, which no cache may store; where `cache` lets it, it is the same for all."""
    if cache != PRIVATE:
        context |= {"staff": None, "pause": None, "flash": ""}
    html = renderer(request).page(request, template, **context)
    response = HTMLResponse(html, status, {"Cache-Control": cache, **SECURITY_HEADERS})
    if cache == PRIVATE and form_guards.FLASH_COOKIE in request.cookies:
        for path in ("/", "/me"):
            response.delete_cookie(form_guards.FLASH_COOKIE, path=path)
    return response


def redirect(
    request: Request, url: str, flash: str = "", *, flash_path: str = "/"
) -> RedirectResponse:
    """Redirect after a form was sent (303); the next page below `flash_path` shows the sentence."""
    response = RedirectResponse(url, 303, headers={"Cache-Control": PRIVATE})
    if flash:
        form_guards.set_flash(request, response, flash, path=flash_path)
    return response


def error_page(request: Request, status: int, title: str, detail: str) -> Response:
    """Return the page that tells a person why a request was refused or failed."""
    return render(
        request, "error.html", status=status, page_title=title, detail=detail, code=status
    )
