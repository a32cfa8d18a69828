"""Puts the site together: routers, files, an error page, and memory for pages in a rush."""

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.routing import Mount

from service.web import (
    account,
    alerts,
    control,
    desk,
    devices,
    editor,
    feeds,
    files,
    hot,
    login,
    own_devices,
    pages,
    people,
    phones,
    reader,
    send_push,
    topics,
    visitors,
)
from service.web.rendering import STATIC, Renderer, error_page

_ROUTERS = (
    pages.router,
    feeds.router,
    files.router,
    reader.router,
    devices.router,
    login.router,
    desk.router,
    editor.router,
    send_push.router,
    own_devices.router,
    alerts.router,
    control.router,
    people.router,
    topics.router,
    account.router,
)


def mount(app: FastAPI) -> None:
    """Give the application its pages, their files, and a page for every refusal."""
    app.state.renderer = Renderer(app.state.settings)
    app.state.error_page = error_page
    app.state.hot_pages = hot.HotPages()
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
