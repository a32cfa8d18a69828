"""Files of the site that are no pages: styles, scripts, icons, the service worker, the manifest."""

from os import PathLike
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.http.dependencies import SettingsDep
from service.web.rendering import STATIC, render, renderer, static_build

router = APIRouter()
FOR_EVER = "public, max-age=31536000, immutable"
A_DAY = "public, max-age=86400"
_ICON_SIZES = (192, 512)


class Kept(StaticFiles):
    """Static files under the name of the present build, which browsers may keep for ever.

    A page of the build before still finds its files, at the price of asking again.
    """

    def file_response(
        self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200
    ) -> Response:
        """Answer with the file and how long it may be kept."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        present = scope["path_params"].get("build") == static_build()
        answer.headers["Cache-Control"] = FOR_EVER if present else "no-cache"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer


def _file(name: str | PathLike[str], media_type: str, cache: str) -> FileResponse:
    headers = {"Cache-Control": cache, "X-Content-Type-Options": "nosniff"}
    return FileResponse(STATIC / name, media_type=media_type, headers=headers)


@router.get("/service-worker.js")
def service_worker(request: Request) -> Response:
    """Return the service worker, which must stand at the root to see every page."""
    text = renderer(request).text("service-worker.js", build=static_build())
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(text, media_type="text/javascript", headers=headers)


@router.get("/manifest.webmanifest")
def manifest(settings: SettingsDep) -> Response:
    """Return what a browser needs to install the site as an app."""
    sizes = [(f"/icon-{size}.png", f"{size}x{size}", "image/png") for size in _ICON_SIZES]
    icons = [
        {"src": src, "sizes": size, "type": kind, "purpose": purpose}
        for src, size, kind in [*sizes, ("/icon.svg", "any", "image/svg+xml")]
        for purpose in ("any", "maskable")
    ]
    body = {
        "id": "/",
        "name": settings.site_name,
        "short_name": settings.site_name,
        "description": "The news, and alerts on the topics you choose.",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#fbfaf6",
        "theme_color": "#fbfaf6",
        "icons": icons,
    }
    headers = {"Cache-Control": A_DAY}
    return JSONResponse(body, headers=headers, media_type="application/manifest+json")


@router.get("/icon.svg")
def icon() -> Response:
    """Return the icon."""
    return _file("img/icon.svg", "image/svg+xml", A_DAY)


@router.get("/icon-{size}.png")
@router.get("/static/icon-{size}.png")
def icon_png(size: int) -> Response:
    """Return the icon as devices want it beside an alert."""
    nearest = min(_ICON_SIZES, key=lambda known: abs(known - size))
    return _file(f"img/icon-{nearest}.png", "image/png", A_DAY)


@router.get("/badge.png")
def badge() -> Response:
    """Return the one-coloured badge that Android shows in its status bar."""
    return _file("img/badge.png", "image/png", A_DAY)


@router.get("/favicon.ico")
def favicon() -> Response:
    """Return the icon for those who ask at the old address."""
    return _file("img/icon-192.png", "image/png", A_DAY)


@router.get("/robots.txt")
def robots(settings: SettingsDep) -> Response:
    """Tell crawlers where the stories are and what is not for them."""
    lines = (
        "User-agent: *",
        "Disallow: /desk",
        "Disallow: /control",
        "Disallow: /me",
        "Disallow: /api",
        f"Sitemap: {settings.public_url}/sitemap-news.xml",
    )
    return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": A_DAY})


@router.get("/offline")
def offline(request: Request) -> Response:
    """Return the page that the service worker shows without a connection."""
    return render(request, "offline.html", cache="public, max-age=3600", staff=None)
