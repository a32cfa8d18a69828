"""Puts the site together: routers, files, the error page, and the cache of public pages."""

from fastapi import FastAPI
from starlette.routing import Mount

from service.http.media import picture_bodies
from service.media.storage import open_elsewhere
from service.web import files, kit, visitors
from service.web.admin import (
    app_pages,
    audit_trail,
    control,
    push_test_page,
    staff_pages,
    topic_pages,
)
from service.web.media import desk_uploads, picture_files
from service.web.newsroom import (
    account,
    alert_pages,
    desk,
    first_admin,
    login,
    own_devices,
    push_preview,
    send_push,
    source_pages,
    source_settings,
    story_editor,
    suggestion_forms,
)
from service.web.newsroom.reports import alert_list, report_pages
from service.web.readers import (
    browser_devices,
    feeds,
    my_settings,
    phones,
    public_pages,
    reader_pages,
    start_page,
)
from service.web.rendering import STATIC, Renderer, error_page

_ROUTERS = (
    public_pages.router,
    start_page.router,
    feeds.router,
    files.router,
    kit.router,
    picture_files.router,
    reader_pages.router,
    my_settings.router,
    browser_devices.router,
    login.router,
    first_admin.router,
    desk.router,
    suggestion_forms.router,
    source_pages.router,
    source_settings.router,
    story_editor.router,
    desk_uploads.router,
    send_push.router,
    push_preview.router,
    own_devices.router,
    alert_list.router,
    alert_pages.router,
    report_pages.router,
    control.router,
    app_pages.router,
    push_test_page.router,
    audit_trail.router,
    staff_pages.router,
    topic_pages.router,
    account.router,
)


def mount(app: FastAPI) -> None:
    """Add the pages and their files to the application, and a page for every refusal."""
    app.state.renderer = Renderer(app.state.settings)
    app.state.error_page = error_page
    app.state.page_cache = app.state.hot.pages
    app.state.pictures_elsewhere = open_elsewhere(app.state.settings)
    app.state.picture_threads = picture_bodies.open_threads()
    app.state.picture_cache = picture_files.PictureCache()
    app.state.picture_reads = picture_files.open_threads()
    for router in _ROUTERS:
        router.add_to(app)
    if app.state.settings.demo:
        phones.router.add_to(app)
    files.compress()  # now, because it takes too long for the event loop
    app.router.routes.append(Mount("/static/{build}", app=files.BuildFiles(directory=STATIC)))
    app.add_exception_handler(visitors.SignInFirst, login.ask_to_sign_in)
