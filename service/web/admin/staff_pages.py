"""Staff and API keys: what an admin looks after once in a while."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from service.domain.errors import Conflict, Invalid, Refusal
from service.domain.people import Caller, Role, Scope, Staff
from service.http.dependencies import Id, WorkDep
from service.store.staff import accounts, audit, second_factor
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.rendering import PRIVATE, render
from service.web.visitors import Admin, AdminActing

router = APIRouter(prefix="/control")
PersonId = Annotated[Id, Path()]
_Line = Annotated[str, Form(max_length=400)]


def _show(
    request: Request, work: UnitOfWork, *, fault: str = "", secret: str = "", email: str = ""
) -> Response:
    return render(
        request,
        "people.html",
        status=422 if fault else 200,
        members=accounts.list_staff(work.session),
        keys=accounts.list_keys(work.session),
        with_codes=second_factor.holders(work.session),
        scopes=tuple(Scope),
        fault=fault,
        secret=secret,
        email=email,
    )


@router.get("/people")
def show(request: Request, work: WorkDep, _: Admin) -> Response:
    """Show who may sign in and which keys there are."""
    return _show(request, work)


@router.post("/people")
def add(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    email: _Line,
    password: Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)],
    role: Annotated[Role, Form()],
) -> Response:
    """Add a member of staff."""
    try:
        with work.session.begin_nested():
            added = accounts.add_staff(work.session, email, password, role)
    except (Invalid, Conflict) as fault:
        return _show(request, work, fault=fault.detail, email=email)
    _note(work, caller, "add", f"staff:{added.id}", email=added.email, role=role.value)
    return _done(request, f"{added.email} may sign in now.")


@router.post("/people/{staff_id}/password")
def set_password(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    staff_id: PersonId,
    password: Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)],
) -> Response:
    """Give somebody a new password; it signs them out everywhere."""
    try:
        accounts.set_password(work.session, staff_id, password)
    except Refusal as fault:
        return _show(request, work, fault=fault.detail)
    _note(work, caller, "reset", f"staff:{staff_id}")
    return _done(request, "The password is changed, and every session of theirs is closed.")


@router.post("/people/{staff_id}/disable")
def disable(
    request: Request, work: WorkDep, me: Admin, caller: AdminActing, staff_id: PersonId
) -> Response:
    """Shut somebody out at once."""
    _not_myself(me, staff_id)
    accounts.disable(work.session, staff_id, work.now)
    _note(work, caller, "disable", f"staff:{staff_id}")
    return _done(request, "Disabled, and signed out everywhere.")


@router.post("/people/{staff_id}/enable")
def enable(request: Request, work: WorkDep, caller: AdminActing, staff_id: PersonId) -> Response:
    """Let somebody in again."""
    accounts.enable(work.session, staff_id)
    _note(work, caller, "enable", f"staff:{staff_id}")
    return _done(request, "They may sign in again.")


@router.post("/people/{staff_id}/sign-out")
def sign_out(request: Request, work: WorkDep, caller: AdminActing, staff_id: PersonId) -> Response:
    """Close all sessions of somebody."""
    accounts.close_sessions_of(work.session, staff_id)
    _note(work, caller, "sign out", f"staff:{staff_id}")
    return _done(request, "Signed out everywhere.")


@router.post("/keys")
def add_key(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    name: _Line,
    scope: Annotated[list[Scope], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Make a key, and show it this once."""
    return _new_key(request, work, caller, name, frozenset(scope))


@router.post("/keys/{key_id}/rotate")
def rotate(request: Request, work: WorkDep, caller: AdminActing, key_id: PersonId) -> Response:
    """Make a key of the same name and scopes; the old one works until it is revoked."""
    for key in accounts.list_keys(work.session):
        if key.id == key_id:
            return _new_key(request, work, caller, key.name, key.scopes)
    return _show(request, work, fault="There is no such key.")


def _new_key(
    request: Request, work: UnitOfWork, caller: Caller, name: str, scopes: frozenset[Scope]
) -> Response:
    try:
        key, secret = accounts.add_key(work.session, name, scopes)
    except Refusal as fault:
        return _show(request, work, fault=fault.detail)
    _note(work, caller, "add", f"key:{key.id}", name=key.name, scopes=sorted(scopes))
    return _show(request, work, secret=secret)


@router.post("/keys/{key_id}/revoke")
def revoke_key(request: Request, work: WorkDep, caller: AdminActing, key_id: PersonId) -> Response:
    """End a key: within two seconds nobody takes it."""
    accounts.revoke_key(work.session, key_id, work.now)
    _note(work, caller, "revoke", f"key:{key_id}")
    return _done(request, "The key is revoked.")


@router.post("/people/{staff_id}/no-code")
def drop_code(request: Request, work: WorkDep, caller: AdminActing, staff_id: PersonId) -> Response:
    """Ask somebody for no one-time codes any more: the phone is lost."""
    second_factor.keep(work.session, staff_id, None)
    accounts.close_sessions_of(work.session, staff_id)
    _note(work, caller, "ask for no codes", f"staff:{staff_id}")
    return _done(request, "Signing in asks them for the password alone.")


def _not_myself(me: Staff, staff_id: int) -> None:
    if me.id == staff_id:
        raise Conflict("Ask another admin to disable you: nobody locks the last door behind them.")


def _note(work: UnitOfWork, caller: Caller, verb: str, what: str, **detail: object) -> None:
    audit.write(work.session, caller.name, verb, what, by=caller.label, **detail)


def _done(request: Request, sentence: str) -> Response:
    answer = RedirectResponse("/control/people", 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, sentence)
    return answer
