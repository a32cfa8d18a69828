"""Staff sign in and out. Whoever fails learns only that it failed."""

import json
from datetime import timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from itsdangerous import BadSignature, TimestampSigner

from service.domain import one_time_code
from service.domain.errors import TooMany
from service.domain.people import Staff
from service.http.auth import STAFF_COOKIE, caller_of_staff
from service.http.dependencies import LoginsLimited, SettingsDep, WorkDep, caller_address
from service.http.rate_limit import Throttle
from service.settings import Settings
from service.store.staff import accounts, audit, second_factor
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.rendering import PRIVATE, render
from service.web.visitors import EditorActing, FromOurPages, StaffOrNone, secure

router = APIRouter()
HOME = "/desk"
REFUSED = "The e-mail or the password is wrong."
TICKET_LASTS_S = 300
TRIES_PER_MINUTE = 10
"""For one account from one address: whoever guesses waits, and locks nobody else out."""


@router.get("/login")
def ask(
    request: Request,
    settings: SettingsDep,
    staff: StaffOrNone,
    next: Annotated[str | None, Query(max_length=500)] = None,  # noqa: A002 - the address's word
    demo: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the form, unless the visitor is signed in; `demo` says whose login to fill in."""
    where = form_guards.local_path(next, HOME)
    if staff is not None:
        return RedirectResponse(where, 303, headers={"Cache-Control": PRIVATE})
    return _form(request, settings, where, demo=demo)


class _Login(NamedTuple):
    """One of the demo's people."""

    role: str
    email: str
    password: str


def _form(
    request: Request,
    settings: Settings,
    where: str,
    *,
    email: str = "",
    fault: str = "",
    demo: str = "",
) -> Response:
    logins = _demo_logins(settings)
    filled = next((one for one in logins if one.role.lower() == demo), _Login("", email, ""))
    return render(
        request,
        "login.html",
        status=401 if fault else 200,
        next=where,
        email=filled.email,
        password=filled.password,
        fault=fault,
        demo_logins=logins,
    )


def _demo_logins(settings: Settings) -> list[_Login]:
    """Return the demo's people and their passwords; nothing outside a demo."""
    file = settings.demo_file
    if not settings.demo or file is None or not file.is_file():
        return []
    known = json.loads(file.read_text())
    found = ((role.capitalize(), known.get(role, {})) for role in ("editor", "admin"))
    return [_Login(role, one["email"], one["password"]) for role, one in found if "password" in one]


@router.post("/login", dependencies=[FromOurPages, LoginsLimited])
def sign_in(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    email: Annotated[str, Form(max_length=320)],
    password: Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)],
    next: Annotated[str | None, Form(max_length=500)] = None,  # noqa: A002 - the form's word
) -> Response:
    """Open a session, ask for the one-time code, or say nothing about why not."""
    where = form_guards.local_path(next, HOME)
    _limit(request, email)
    staff = accounts.authenticate(work.session, email, password, work.now)
    if staff is None:
        return _form(request, settings, where, email=email, fault=REFUSED)
    if second_factor.secret_of(work.session, staff.id) is not None:
        return _ask_code(request, settings, where, staff.id)
    return _let_in(request, work, settings, staff, where)


@router.post("/login/code", dependencies=[FromOurPages, LoginsLimited])
def confirm(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    ticket: Annotated[str, Form(max_length=200)],
    code: Annotated[str, Form(max_length=20)],
    next: Annotated[str | None, Form(max_length=500)] = None,  # noqa: A002 - the form's word
) -> Response:
    """Open a session for whoever gave the right password a moment ago and the code now."""
    where = form_guards.local_path(next, HOME)
    staff = _of_ticket(work, settings, ticket)
    if staff is None:
        return _form(request, settings, where, fault="That took too long: begin again.")
    _limit(request, f"code of {staff.id}")
    secret = second_factor.secret_of(work.session, staff.id) or ""
    step = one_time_code.step_of(secret, code, work.now)
    if step is None or not _first_use(request, staff.id, step):
        return _ask_code(request, settings, where, staff.id, fault="This code is not right now.")
    return _let_in(request, work, settings, staff, where)


def _let_in(
    request: Request, work: UnitOfWork, settings: Settings, staff: Staff, where: str
) -> Response:
    lasting = timedelta(hours=settings.session_hours)
    token = accounts.open_session(work.session, staff.id, work.now, lasting)
    caller = caller_of_staff(staff)
    audit.write(work.session, caller.name, "sign in", caller.name, by=caller.label)
    answer = RedirectResponse(where, 303, headers={"Cache-Control": PRIVATE})
    answer.set_cookie(
        STAFF_COOKIE,
        token,
        max_age=int(lasting.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=secure(request),
    )
    return answer


def _ask_code(
    request: Request, settings: Settings, where: str, staff_id: int, fault: str = ""
) -> Response:
    ticket = _signer(settings).sign(str(staff_id)).decode()
    status = 401 if fault else 200
    return render(request, "login_code.html", status=status, next=where, ticket=ticket, fault=fault)


def _of_ticket(work: UnitOfWork, settings: Settings, ticket: str) -> Staff | None:
    try:
        staff_id = int(_signer(settings).unsign(ticket, max_age=TICKET_LASTS_S))
    except (BadSignature, ValueError):
        return None
    found = (one for one in accounts.list_staff(work.session) if one.id == staff_id)
    return next((one for one in found if not one.disabled), None)


def _signer(settings: Settings) -> TimestampSigner:
    return TimestampSigner(settings.secret_key, salt="login code")


def _first_use(request: Request, staff_id: int, step: int) -> bool:
    """Whether this code was not used before: seen over a shoulder it is worth nothing."""
    throttle: Throttle = request.app.state.throttle
    return throttle.hit("one-time code", f"{staff_id} {step}", 1) is None


def _limit(request: Request, email: str) -> None:
    throttle: Throttle = request.app.state.throttle
    who = f"{caller_address(request)} {email.strip().casefold()}"
    wait = throttle.hit("login", who, TRIES_PER_MINUTE)
    if wait is not None:
        raise TooMany("Too many tries to sign in: wait a minute.", wait)


@router.post("/logout")
def sign_out(request: Request, work: WorkDep, caller: EditorActing) -> Response:
    """End the session here and on the server."""
    accounts.close_session(work.session, request.cookies[STAFF_COOKIE])
    audit.write(work.session, caller.name, "sign out", caller.name, by=caller.label)
    answer = RedirectResponse("/login", 303, headers={"Cache-Control": PRIVATE})
    answer.delete_cookie(STAFF_COOKIE, path="/")
    return answer
