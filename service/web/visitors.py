"""Who visits: staff by the cookie of their session, a reader by a cookie of its own.

Browsers send the reader's cookie only to addresses below /me. The pages that a breaking alert leads
to are therefore requested without a cookie, are the same for everyone, and any cache may hold them.
"""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request, Response

from service.actions import readers as reader_actions
from service.domain.errors import Forbidden
from service.domain.language import parse_accept_language
from service.domain.people import Caller, Reader, Role, Staff
from service.http.auth import STAFF_COOKIE, caller_of_staff, hash_token, staff_from_cookie
from service.http.dependencies import WorkDep, limit_registrations
from service.settings import Settings
from service.store.operations import pauses
from service.store.readers import readers
from service.unit_of_work import UnitOfWork
from service.web import form_guards

READER_COOKIE = "newszop_reader"
READER_PATH = "/me"
READER_LIFETIME = timedelta(days=400)


class SignInFirst(Exception):
    """Nobody is signed in, and this page is for staff."""

    def login_url(self, request: Request) -> str:
        """Return the login's address, which leads back to the requested page."""
        page = request.url.path
        if request.method not in ("GET", "HEAD"):
            return "/login"
        if request.url.query:
            page += f"?{request.url.query}"
        return "/login?" + urlencode({"next": page})


def sent_by_script(request: Request) -> bool:
    """Whether a script of ours reads the answer, and no person."""
    wants_json = "application/json" in request.headers.get("accept", "")
    return wants_json or form_guards.CSRF_HEADER in request.headers or _is_fetched(request)


def _is_fetched(request: Request) -> bool:
    return request.headers.get("sec-fetch-dest") == "empty"


def staff_or_none(request: Request, work: WorkDep) -> Staff | None:
    """Return who is signed in, and keep it for the page's layout."""
    token = request.cookies.get(STAFF_COOKIE)
    staff = staff_from_cookie(work.session, token, work.now) if token else None
    request.state.staff = staff
    request.state.pause = pauses.get(work.session) if staff else None
    return staff


StaffOrNone = Annotated[Staff | None, Depends(staff_or_none)]


def _editor(staff: StaffOrNone) -> Staff:
    if staff is None:
        raise SignInFirst
    return staff


Editor = Annotated[Staff, Depends(_editor)]


def _admin(staff: Editor) -> Staff:
    if staff.role is not Role.ADMIN:
        raise Forbidden("The control room is for admins. Ask one to do this for you.")
    return staff


Admin = Annotated[Staff, Depends(_admin)]


async def _form_token(request: Request) -> str:
    token = (await request.form()).get(form_guards.CSRF_FIELD, "")
    return token if isinstance(token, str) else ""


_FormToken = Annotated[str, Depends(_form_token)]


def _editor_acting(request: Request, staff: Editor, token: _FormToken) -> Caller:
    form_guards.check_csrf(request, token)
    return caller_of_staff(staff)


def _admin_acting(request: Request, staff: Admin, token: _FormToken) -> Caller:
    form_guards.check_csrf(request, token)
    return caller_of_staff(staff)


EditorActing = Annotated[Caller, Depends(_editor_acting)]
"""An editor who sends one of our forms. Anybody else is refused."""
AdminActing = Annotated[Caller, Depends(_admin_acting)]
"""An admin who sends one of our forms."""

FromOurPages = Depends(form_guards.check_origin)
"""Refuses requests from other sites. It protects readers' forms."""


def reader_or_none(request: Request, work: WorkDep) -> Reader | None:
    """Return the reader whose browser this is."""
    token = request.cookies.get(READER_COOKIE)
    return readers.by_token(work.session, hash_token(token)) if token else None


ReaderOrNone = Annotated[Reader | None, Depends(reader_or_none)]


def ensure_reader(
    request: Request,
    work: UnitOfWork,
    reader: Reader | None,
    language: str = "",
    timezone: str = "UTC",
) -> tuple[Reader, str | None]:
    """Return the browser's reader. A reader created now comes with its token, otherwise None.

    It reads what its browser says that it reads.
    """
    if reader is not None:
        return reader, None
    limit_registrations(request, request.app.state.settings)
    languages = parse_accept_language(request.headers.get("accept-language", ""))
    preferred = language or next(iter(languages), "en")
    return reader_actions.register_reader(work, preferred, timezone, languages=languages)


def set_reader_cookie(request: Request, response: Response, token: str | None) -> None:
    """Put a new reader's token into the cookie."""
    if token is None:
        return
    response.set_cookie(
        READER_COOKIE,
        token,
        max_age=int(READER_LIFETIME.total_seconds()),
        path=READER_PATH,
        httponly=True,
        samesite="lax",
        secure=needs_tls(request),
    )


def needs_tls(request: Request) -> bool:
    """Whether cookies may travel over TLS only."""
    settings: Settings = request.app.state.settings
    return settings.public_url.startswith("https://")
