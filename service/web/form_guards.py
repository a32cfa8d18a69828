"""What protects the forms: staff forms carry a token of their session, readers' forms an origin.

Readers' pages are the same for everyone, so they can hold no token; the browser's own word about
where a request comes from (Sec-Fetch-Site, Origin) and SameSite cookies guard them instead.
"""

import hashlib
import hmac
from urllib.parse import quote, unquote

from fastapi import Request, Response

from service.domain.errors import Forbidden
from service.domain.network import authority_of
from service.settings import Settings

STAFF_COOKIE = "newszop_staff"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
SAID_COOKIE = "newszop_said"


def csrf_of(request: Request) -> str:
    """Return the token that this session's forms carry; it dies with the session."""
    settings: Settings = request.app.state.settings
    session = request.cookies.get(STAFF_COOKIE, "")
    key = hashlib.sha256(b"csrf:" + settings.secret_key.encode()).digest()
    return hmac.new(key, session.encode(), hashlib.sha256).hexdigest()


def check_csrf(request: Request, sent: str | None) -> None:
    """Raise `Forbidden` unless `sent` (or the header) is this session's token."""
    given = sent or request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_of(request).encode()):
        raise Forbidden("This form is out of date or was not ours. Reload the page and try again.")


def check_origin(request: Request) -> None:
    """Raise `Forbidden` when the browser says that another site sent this request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise Forbidden("This request came from another site.")
    origin = request.headers.get("origin")
    if origin is None:
        return
    settings: Settings = request.app.state.settings
    hosts = {request.headers.get("host", ""), authority_of(settings.public_url)}
    if authority_of(origin) not in hosts:
        raise Forbidden("This request came from another site.")


def local_path(wanted: str | None, default: str) -> str:
    """Return `wanted` when it is a path of this site, else `default`: no open redirect."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return default
    if any(ord(char) < ord(" ") or char == "\\" for char in wanted):
        return default
    return wanted


def say(request: Request, response: Response, sentence: str, *, path: str = "/") -> None:
    """Have the next page below `path` say one sentence: what the form before it did."""
    settings: Settings = request.app.state.settings
    response.set_cookie(
        SAID_COOKIE,
        quote(sentence),
        max_age=20,
        path=path,
        httponly=True,
        samesite="lax",
        secure=settings.public_url.startswith("https://"),
    )


def said(request: Request) -> str:
    """Return the sentence that the page before left for this one."""
    return unquote(request.cookies.get(SAID_COOKIE, ""))[:300]
