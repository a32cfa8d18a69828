"""What protects the forms, and the sentence that the next page shows after one was sent.

Staff forms carry a token of their session. Readers' pages are the same for everyone and can hold
no token, so readers' forms rely on where the browser says the request comes from (Sec-Fetch-Site,
Origin) and on SameSite cookies.
"""

import hashlib
import hmac
from urllib.parse import quote, unquote

from fastapi import Request, Response

from service.domain.errors import Forbidden
from service.domain.network import authority_of
from service.http.auth import STAFF_COOKIE
from service.settings import Settings

CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
FLASH_COOKIE = "newszop_said"


def csrf_token(request: Request) -> str:
    """Return the token that this session's forms carry. It is void once the session ends."""
    return csrf_token_of(request.app.state.settings, request.cookies.get(STAFF_COOKIE, ""))


def csrf_token_of(settings: Settings, session: str) -> str:
    """Return the token of the session with this cookie."""
    return _csrf_token(settings.signing_secrets[0], session)


def _csrf_token(secret: bytes, session: str) -> str:
    key = hashlib.sha256(b"csrf:" + secret).digest()
    return hmac.new(key, session.encode(), hashlib.sha256).hexdigest()


def check_csrf(request: Request, form_token: str | None) -> None:
    """Raise `Forbidden` unless the form (or the header) has this session's token.

    A form that was open while our secret changed has the token of an earlier one.
    """
    token = (form_token or request.headers.get(CSRF_HEADER, "")).encode()
    session = request.cookies.get(STAFF_COOKIE, "")
    settings: Settings = request.app.state.settings
    if not any(
        hmac.compare_digest(token, _csrf_token(secret, session).encode())
        for secret in settings.signing_secrets
    ):
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


def local_path(target: str | None, default: str) -> str:
    """Return `target` if it is a path of this site, else `default`: no open redirect."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return default
    if any(ord(char) < ord(" ") or char == "\\" for char in target):
        return default
    return target


def set_flash(request: Request, response: Response, sentence: str, *, path: str = "/") -> None:
    """Have the next page below `path` show one sentence, which says what the form did."""
    settings: Settings = request.app.state.settings
    response.set_cookie(
        FLASH_COOKIE,
        quote(sentence),
        max_age=20,
        path=path,
        httponly=True,
        samesite="lax",
        secure=settings.public_url.startswith("https://"),
    )


def read_flash(request: Request) -> str:
    """Return the sentence that the last form left for this page; empty for none."""
    return unquote(request.cookies.get(FLASH_COOKIE, ""))[:300]
