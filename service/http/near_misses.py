"""What an address has that a request missed: the same one without its last slash, or other methods.

A redirect leads to a path and never to a host: Starlette's own repeats the request's Host header,
which the caller chooses. Starlette's own 405 names the methods of the first route only.
"""

from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Match

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def path_without_slash(request: Request) -> str | None:
    """Return the address without its last slash when that is one of ours, else None."""
    path = request.url.path
    if request.method not in ("GET", "HEAD") or not path.endswith("/"):
        return None
    target = path.rstrip("/")
    if not target or target.startswith("//"):
        return None
    if not _has_route(request, "GET", target):
        return None
    query = request.url.query
    return quote(target) + (f"?{query}" if query else "")


def methods_of(request: Request) -> str:
    """Return every method that the request's address has, as the `Allow` header lists them."""
    path = request.url.path
    methods = {method for method in METHODS if _has_route(request, method, path)}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


def _has_route(request: Request, method: str, path: str) -> bool:
    scope = {**request.scope, "method": method, "path": path}
    return any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)
