"""Staff sign in and out. A failed attempt does not say what was wrong.

A page whose session has ended signs in within a dialog: it sends the same forms by script and gets
JSON. A form that came without a session goes through the login and is sent again.
"""

import json
from datetime import timedelta
from typing import Annotated, NamedTuple

import structlog
from fastapi import Form, Query, Request, Response
from fastapi.responses import JSONResponse
from itsdangerous import BadSignature, TimestampSigner

from service.domain.errors import Unauthenticated
from service.domain.people import Staff
from service.http.api_document import Router
from service.http.auth import STAFF_COOKIE, caller_of_staff
from service.http.dependencies import SettingsDep, WorkDep, caller_address
from service.http.problems import KINDS, problem
from service.settings import Settings
from service.store.staff import accounts, audit, second_factor
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.newsroom import sign_in_limits
from service.web.newsroom.held_forms import HeldForm, hold_form, read_held
from service.web.rendering import PRIVATE, redirect, render
from service.web.visitors import (
    Editor,
    EditorActing,
    FromOurPages,
    SignInFirst,
    StaffOrNone,
    needs_tls,
    sent_by_script,
)

router = Router(in_document=False)
log = structlog.get_logger()
HOME = "/desk"
REFUSED = "The e-mail address or the password is wrong."
TICKET_LIFETIME_S = 300
STARTED_OVER = "That took too long, or the password was changed. Start again."
REFUSED_CODE = "This code is wrong or was used before."
NO_MORE_CODES = "Too many wrong codes in a row. Ask an admin to reset your password."
SIGNED_OUT = "You are signed out. Sign in again."
MAX_HELD_CHARACTERS = 16_000

_Next = Annotated[str | None, Form(alias="next", max_length=500)]
_Held = Annotated[str, Form(max_length=MAX_HELD_CHARACTERS)]


class _Goal(NamedTuple):
    """What happens once somebody is signed in: a page is shown, or a held form sent again."""

    target: str = HOME
    held: HeldForm | None = None

    @classmethod
    def parse(cls, target: str | None, held: str) -> "_Goal":
        return cls(form_guards.local_path(target, HOME), read_held(held))


@router.get("/login")
def show(
    request: Request,
    settings: SettingsDep,
    staff: StaffOrNone,
    next: Annotated[str | None, Query(max_length=500)] = None,  # noqa: A002 - the parameter's name in the URL
    demo: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the form, unless the visitor is signed in. `demo` is the role to fill in."""
    goal = _Goal.parse(next, "")
    if staff is not None:
        return redirect(request, goal.target)
    return _form(request, settings, goal, demo=demo)


@router.get("/login/session")
def show_session(request: Request, staff: Editor) -> Response:
    """Tell a page who is signed in, and the token of this session's forms; 401 for nobody."""
    return _session(staff, form_guards.csrf_token(request))


def _session(staff: Staff, csrf: str) -> Response:
    return JSONResponse({"email": staff.email, "csrf": csrf}, headers={"Cache-Control": PRIVATE})


async def ask_to_sign_in(request: Request, error: Exception) -> Response:
    """Answer a request that needs somebody signed in: 401 to a script, the login to a person."""
    if not isinstance(error, SignInFirst):  # pragma: no cover - Starlette's wide type
        raise error
    if sent_by_script(request):
        return problem(KINDS[Unauthenticated], SIGNED_OUT)
    held = await hold_form(request)
    if held is None:
        response: Response = redirect(request, error.login_url(request))
        response.headers["Cache-Control"] = "no-store"
        return response
    settings: Settings = request.app.state.settings
    return _form(request, settings, _Goal(held=held))


class _DemoLogin(NamedTuple):
    """One of the demo's accounts."""

    role: str
    email: str
    password: str


def _form(
    request: Request,
    settings: Settings,
    goal: _Goal,
    *,
    email: str = "",
    fault: str = "",
    demo: str = "",
) -> Response:
    if fault and sent_by_script(request):
        return problem(KINDS[Unauthenticated], fault)
    logins = _demo_logins(settings)
    login = next((one for one in logins if one.role.lower() == demo), _DemoLogin("", email, ""))
    return render(
        request,
        "login.html",
        status=401 if fault or goal.held else 200,
        next=goal.target,
        held=goal.held.to_text() if goal.held else "",
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
    target: _Next = None,
    held: _Held = "",
) -> Response:
    """Open a session, or ask for the one-time code, or refuse without a reason."""
    goal = _Goal.parse(target, held)
    attempt = sign_in_limits.begin_attempt(request, settings, email)
    staff = accounts.authenticate(work.session, email, password, work.now)
    if staff is None:
        attempt.count_failure()
        log.warning(
            "sign-in refused",
            account=sign_in_limits.account_name(email),
            address=caller_address(request),
        )
        return _form(request, settings, goal, email=email, fault=REFUSED)
    if second_factor.secret_of(work.session, staff.id) is not None:
        return _ask_code(request, work, settings, goal, staff.id)
    return _open_session(request, work, settings, staff, goal)


@router.post("/login/code", dependencies=[FromOurPages])
def check_code(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    ticket: Annotated[str, Form(max_length=200)],
    code: Annotated[str, Form(max_length=20)],
    target: _Next = None,
    held: _Held = "",
) -> Response:
    """Open a session with the one-time code, after the password was right a moment ago."""
    goal = _Goal.parse(target, held)
    staff = _read_ticket(work, settings, ticket)
    if staff is None:
        return _form(request, settings, goal, fault=STARTED_OVER)
    sign_in_limits.begin_code_attempt(request, staff.id)
    match second_factor.use_code(work.session, staff.id, code, work.now):
        case second_factor.CodeUse.BLOCKED:
            return _form(request, settings, goal, fault=NO_MORE_CODES)
        case second_factor.CodeUse.REFUSED:
            return _ask_code(request, work, settings, goal, staff.id, fault=REFUSED_CODE)
        case second_factor.CodeUse.ACCEPTED:
            return _open_session(request, work, settings, staff, goal)


def _open_session(
    request: Request, work: UnitOfWork, settings: Settings, staff: Staff, goal: _Goal
) -> Response:
    """Sign the browser in; the session that it had ends, also another person's (ASVS 7.2.4)."""
    lifetime = timedelta(hours=settings.session_hours)
    accounts.close_session(work.session, request.cookies.get(STAFF_COOKIE, ""))
    token = accounts.open_session(work.session, staff.id, work.now, lifetime)
    caller = caller_of_staff(staff)
    audit.write(work.session, caller.name, "sign in", caller.name, by=caller.label)
    response = _answer_signed_in(request, settings, staff, token, goal)
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


def _answer_signed_in(
    request: Request, settings: Settings, staff: Staff, token: str, goal: _Goal
) -> Response:
    csrf = form_guards.csrf_token_of(settings, token)
    if sent_by_script(request):
        return _session(staff, csrf)
    if goal.held is None:
        return redirect(request, goal.target)
    request.state.staff = staff
    return render(request, "held_form.html", form=goal.held, csrf=csrf)


def _ask_code(
    request: Request,
    work: UnitOfWork,
    settings: Settings,
    goal: _Goal,
    staff_id: int,
    *,
    fault: str = "",
) -> Response:
    version = accounts.credentials_version(work.session, staff_id)
    ticket = _signer(settings).sign(f"{staff_id}.{version}").decode()
    if sent_by_script(request):
        return JSONResponse({"ticket": ticket, "fault": fault}, headers={"Cache-Control": PRIVATE})
    return render(
        request,
        "login_code.html",
        status=401 if fault else 200,
        next=goal.target,
        held=goal.held.to_text() if goal.held else "",
        ticket=ticket,
        fault=fault,
    )


def _read_ticket(work: UnitOfWork, settings: Settings, ticket: str) -> Staff | None:
    """Return who gave the right password a moment ago, unless it or the codes changed since."""
    try:
        value = _signer(settings).unsign(ticket, max_age=TICKET_LIFETIME_S).decode()
    except BadSignature:
        return None
    staff_id, _, version = value.partition(".")
    if version != accounts.credentials_version(work.session, int(staff_id)):
        return None
    members = (one for one in accounts.list_staff(work.session) if one.id == int(staff_id))
    return next((one for one in members if not one.disabled), None)


def _signer(settings: Settings) -> TimestampSigner:
    return TimestampSigner(settings.signing_secrets[::-1], salt="login code")


@router.post("/logout")
def sign_out(request: Request, work: WorkDep, caller: EditorActing) -> Response:
    """End the session, in the browser and on the server."""
    accounts.close_session(work.session, request.cookies[STAFF_COOKIE])
    audit.write(work.session, caller.name, "sign out", caller.name, by=caller.label)
    response = redirect(request, "/login")
    response.delete_cookie(STAFF_COOKIE, path="/")
    return response
