"""Staff sign in and out. A failed attempt does not say what was wrong."""

import json
from datetime import timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Query, Request, Response
from itsdangerous import BadSignature, TimestampSigner

from service.domain.people import Staff
from service.http.auth import STAFF_COOKIE, caller_of_staff
from service.http.dependencies import SettingsDep, WorkDep
from service.settings import Settings
from service.store.staff import accounts, audit, second_factor
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.newsroom import sign_in_limits
from service.web.rendering import redirect, render
from service.web.visitors import EditorActing, FromOurPages, StaffOrNone, needs_tls

router = APIRouter()
HOME = "/desk"
REFUSED = "The e-mail address or the password is wrong."
TICKET_LIFETIME_S = 300
STARTED_OVER = "That took too long, or the password was changed. Start again."
REFUSED_CODE = "This code is wrong or was used before."
NO_MORE_CODES = "Too many wrong codes in a row. Ask an admin to reset your password."


@router.get("/login")
def show(
    request: Request,
    settings: SettingsDep,
    staff: StaffOrNone,
    next: Annotated[str | None, Query(max_length=500)] = None,  # noqa: A002 - the parameter's name in the URL
    demo: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the form, unless the visitor is signed in. `demo` is the role to fill in."""
    target = form_guards.local_path(next, HOME)
    if staff is not None:
        return redirect(request, target)
    return _form(request, settings, target, demo=demo)


class _DemoLogin(NamedTuple):
    """One of the demo's accounts."""

    role: str
    email: str
    password: str


def _form(
    request: Request,
    settings: Settings,
    target: str,
    *,
    email: str = "",
    fault: str = "",
    demo: str = "",
) -> Response:
    logins = _demo_logins(settings)
    login = next((one for one in logins if one.role.lower() == demo), _DemoLogin("", email, ""))
    return render(
        request,
        "login.html",
        status=401 if fault else 200,
        next=target,
        email=login.email,
        password=login.password,
        fault=fault,
        demo_logins=logins,
    )


def _demo_logins(settings: Settings) -> list[_DemoLogin]:
    """Return the demo's accounts with their passwords; none outside the demo."""
    file = settings.demo_file
    if not settings.demo or file is None or not file.is_file():
        return []
    accounts_by_role = json.loads(file.read_text())
    logins = ((role.capitalize(), accounts_by_role.get(role, {})) for role in ("editor", "admin"))
    return [_DemoLogin(r, one["email"], one["password"]) for r, one in logins if "password" in one]


@router.post("/login", dependencies=[FromOurPages])
def sign_in(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    email: Annotated[str, Form(max_length=320)],
    password: Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)],
    next: Annotated[str | None, Form(max_length=500)] = None,  # noqa: A002 - the form's word
) -> Response:
    """Open a session, or ask for the one-time code, or refuse without a reason."""
    target = form_guards.local_path(next, HOME)
    attempt = sign_in_limits.begin_attempt(request, settings, email)
    staff = accounts.authenticate(work.session, email, password, work.now)
    if staff is None:
        attempt.count_failure()
        return _form(request, settings, target, email=email, fault=REFUSED)
    if second_factor.secret_of(work.session, staff.id) is not None:
        return _ask_code(request, work, settings, target, staff.id)
    return _open_session(request, work, settings, staff, target)


@router.post("/login/code", dependencies=[FromOurPages])
def check_code(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    ticket: Annotated[str, Form(max_length=200)],
    code: Annotated[str, Form(max_length=20)],
    next: Annotated[str | None, Form(max_length=500)] = None,  # noqa: A002 - the form's word
) -> Response:
    """Open a session with the one-time code, after the password was right a moment ago."""
    target = form_guards.local_path(next, HOME)
    staff = _read_ticket(work, settings, ticket)
    if staff is None:
        return _form(request, settings, target, fault=STARTED_OVER)
    sign_in_limits.begin_code_attempt(request, staff.id)
    match second_factor.use_code(work.session, staff.id, code, work.now):
        case second_factor.CodeUse.BLOCKED:
            return _form(request, settings, target, fault=NO_MORE_CODES)
        case second_factor.CodeUse.REFUSED:
            return _ask_code(request, work, settings, target, staff.id, fault=REFUSED_CODE)
        case second_factor.CodeUse.ACCEPTED:
            return _open_session(request, work, settings, staff, target)


def _open_session(
    request: Request, work: UnitOfWork, settings: Settings, staff: Staff, target: str
) -> Response:
    lifetime = timedelta(hours=settings.session_hours)
    token = accounts.open_session(work.session, staff.id, work.now, lifetime)
    caller = caller_of_staff(staff)
    audit.write(work.session, caller.name, "sign in", caller.name, by=caller.label)
    response = redirect(request, target)
    response.set_cookie(
        STAFF_COOKIE,
        token,
        max_age=int(lifetime.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=needs_tls(request),
    )
    sign_in_limits.remember_browser(response, settings, staff.email, secure=needs_tls(request))
    return response


def _ask_code(
    request: Request,
    work: UnitOfWork,
    settings: Settings,
    target: str,
    staff_id: int,
    *,
    fault: str = "",
) -> Response:
    version = accounts.password_version(work.session, staff_id)
    ticket = _signer(settings).sign(f"{staff_id}.{version}").decode()
    status = 401 if fault else 200
    return render(
        request, "login_code.html", status=status, next=target, ticket=ticket, fault=fault
    )


def _read_ticket(work: UnitOfWork, settings: Settings, ticket: str) -> Staff | None:
    """Return who gave the right password a moment ago, unless it was changed since."""
    try:
        value = _signer(settings).unsign(ticket, max_age=TICKET_LIFETIME_S).decode()
    except BadSignature:
        return None
    staff_id, _, version = value.partition(".")
    if version != accounts.password_version(work.session, int(staff_id)):
        return None
    members = (one for one in accounts.list_staff(work.session) if one.id == int(staff_id))
    return next((one for one in members if not one.disabled), None)


def _signer(settings: Settings) -> TimestampSigner:
    return TimestampSigner(settings.secret_key, salt="login code")


@router.post("/logout")
def sign_out(request: Request, work: WorkDep, caller: EditorActing) -> Response:
    """End the session, in the browser and on the server."""
    accounts.close_session(work.session, request.cookies[STAFF_COOKIE])
    audit.write(work.session, caller.name, "sign out", caller.name, by=caller.label)
    response = redirect(request, "/login")
    response.delete_cookie(STAFF_COOKIE, path="/")
    return response
