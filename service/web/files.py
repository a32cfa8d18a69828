"""The site's files: styles, scripts, icons, the service worker, the manifest, robots.txt."""

import gzip
from functools import cache
from os import PathLike
from typing import Any

from fastapi import Request, Response, status
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.datastructures import Headers
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.http.api_document import Router
from service.http.dependencies import SettingsDep
from service.http.encodings import accepts_gzip
from service.http.limits.call_turn import end_turn
from service.web.kit import kit_url
from service.web.rendering import IMMUTABLE, STATIC, render, renderer, static_build

router = Router(in_document=False)
ONE_DAY = "public, max-age=86400"
COMPRESSIBLE = (".css", ".js", ".svg")
_ICON_SIZES = (192, 512)


class BuildFiles(StaticFiles):
    """Static files below the name of the current build, which browsers may cache for ever.

    A page of an earlier build still gets its files, but they must be revalidated.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file; a thread looks it up, for which no other call waits."""
        end_turn(scope)
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file and how long it may be cached."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        is_current = scope["path_params"].get("build") == static_build()
        response.headers["Cache-Control"] = IMMUTABLE if is_current else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        gzipped = compress().get(str(full_path))
        if gzipped is None or response.status_code != status.HTTP_200_OK:
            return response
        response.headers["Vary"] = "Accept-Encoding"
        if not accepts_gzip(Headers(scope=scope).get("accept-encoding", "")):
            return response
        return _compressed(gzipped, response)


def _compressed(gzipped: bytes, response: Response) -> Response:
    """Return a file's answer with the file compressed; its entity tag is weak then."""
    headers = dict(response.headers) | {"content-encoding": "gzip"}
    headers["etag"] = f"W/{headers['etag']}"
    for name in ("content-length", "accept-ranges"):
        headers.pop(name, None)
    return Response(gzipped, response.status_code, headers)


@cache
def compress() -> dict[str, bytes]:
    """Return every style and script compressed; they are few and do not change while we run."""
    files = (file for file in STATIC.rglob("*") if file.suffix in COMPRESSIBLE)
    return {str(file.resolve()): gzip.compress(file.read_bytes(), 9, mtime=0) for file in files}


def _file(name: str | PathLike[str], media_type: str, cache: str) -> FileResponse:
    headers = {"Cache-Control": cache, "X-Content-Type-Options": "nosniff"}
    return FileResponse(STATIC / name, media_type=media_type, headers=headers)


@router.get("/service-worker.js")
def service_worker(request: Request) -> Response:
    """Return the service worker, which must be at the root to control every page."""
    text = renderer(request).text(
        "service-worker.js", build=static_build(), kit_worker=kit_url("newszop-sw.js")
    )
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        gzipped = gzip.compress(text.encode(), 5, mtime=0)
        return Response(gzipped, media_type="text/javascript", headers=headers)
    return Response(text, media_type="text/javascript", headers=headers)


@router.get("/manifest.webmanifest")
def manifest(settings: SettingsDep) -> Response:
    """Return the manifest, which a browser needs to install the site as an app."""
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
    headers = {"Cache-Control": ONE_DAY}
    return JSONResponse(body, headers=headers, media_type="application/manifest+json")


@router.get("/icon.svg")
def icon() -> Response:
    """Return the icon."""
    return _file("img/icon.svg", "image/svg+xml", ONE_DAY)


@router.get("/icon-{size}.png")
@router.get("/static/icon-{size}.png")
def icon_png(size: int) -> Response:
    """Return the icon that devices show beside an alert, in the nearest size we have."""
    nearest = min(_ICON_SIZES, key=lambda icon_size: abs(icon_size - size))
    return _file(f"img/icon-{nearest}.png", "image/png", ONE_DAY)


@router.get("/badge.png")
def badge() -> Response:
    """Return the monochrome badge that Android shows in its status bar."""
    return _file("img/badge.png", "image/png", ONE_DAY)


@router.get("/favicon.ico")
def favicon() -> Response:
    """Return the icon at the address that browsers try first."""
    return _file("img/icon-192.png", "image/png", ONE_DAY)


@router.get("/robots.txt")
def robots(settings: SettingsDep) -> Response:
    """Tell crawlers where the stories are and what they should leave alone."""
    lines = (
        "User-agent: *",
        "Disallow: /desk",
        "Disallow: /control",
        "Disallow: /me",
        "Disallow: /api",
        f"Sitemap: {settings.public_url}/sitemap-news.xml",
    )
    return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": ONE_DAY})


@router.get("/offline")
def offline(request: Request) -> Response:
    """Return the page that the service worker shows without a connection."""
    return render(request, "offline.html", cache="public, max-age=3600")
