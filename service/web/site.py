"""Puts the site together: routers, files, an error page, and memory for pages in a rush."""

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.routing import Mount

from service.web import feeds, files, page_cache, visitors
from service.web.admin import control, phones, staff_pages, topic_pages
from service.web.newsroom import (
    account,
    alert_pages,
    desk,
    login,
    own_devices,
    send_push,
    story_editor,
)
from service.web.readers import browser_devices, public_pages, reader_pages
from service.web.rendering import STATIC, Renderer, error_page

_ROUTERS = (
    public_pages.router,
    feeds.router,
    files.router,
    reader_pages.router,
    browser_devices.router,
    login.router,
    desk.router,
    story_editor.router,
    send_push.router,
    own_devices.router,
    alert_pages.router,
    control.router,
    staff_pages.router,
    topic_pages.router,
    account.router,
)


def mount(app: FastAPI) -> None:
    """Give the application its pages, their files, and a page for every refusal."""
    app.state.renderer = Renderer(app.state.settings)
    app.state.error_page = error_page
    app.state.hot_pages = page_cache.HotPages()
    for router in _ROUTERS:
        app.include_router(router, include_in_schema=False)
    if app.state.settings.demo:
        app.include_router(phones.router, include_in_schema=False)
    app.router.routes.append(Mount("/static/{build}", app=files.Kept(directory=STATIC)))
    app.add_exception_handler(visitors.SignInFirst, _to_login)


async def _to_login(request: Request, error: Exception) -> Response:
    """Send whoever is not signed in to the login, and back here afterwards."""
    if not isinstance(error, visitors.SignInFirst):  # pragma: no cover - Starlette's wide type
        raise error
    answer = RedirectResponse(error.login_url(request), 303)
    answer.headers["Cache-Control"] = "no-store"
    return answer
