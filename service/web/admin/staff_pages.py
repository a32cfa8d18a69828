"""Staff accounts and API keys, for admins."""

from typing import Annotated

from fastapi import Form, Path, Request, Response

from service.domain.errors import Conflict, Invalid, Refusal
from service.domain.people import Caller, Role, Scope, Staff
from service.http.api_document import Router
from service.http.dependencies import Id, WorkDep
from service.store.staff import accounts, audit, second_factor
from service.unit_of_work import UnitOfWork
from service.web.rendering import redirect, render
from service.web.visitors import Admin, AdminActing

router = Router(prefix="/control", in_document=False)
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
    """Show the staff and the API keys."""
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
            member = accounts.add_staff(work.session, email, password, role)
    except (Invalid, Conflict) as fault:
        return _show(request, work, fault=fault.detail, email=email)
    _audit(work, caller, "add", f"staff:{member.id}", email=member.email, role=role.value)
    return _done(request, f"{member.email} can sign in now.")


@router.post("/people/{staff_id}/password")
def set_password(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    staff_id: PersonId,
    password: Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)],
) -> Response:
    """Set a new password for somebody, which signs them out everywhere."""
    try:
        accounts.set_password(work.session, staff_id, password)
    except Refusal as fault:
        return _show(request, work, fault=fault.detail)
    _audit(work, caller, "reset", f"staff:{staff_id}")
    return _done(request, "The password is changed, and all their sessions are closed.")


@router.post("/people/{staff_id}/disable")
def disable(
    request: Request, work: WorkDep, me: Admin, caller: AdminActing, staff_id: PersonId
) -> Response:
    """Disable an account and close its sessions at once."""
    _refuse_disabling_oneself(me, staff_id)
    accounts.disable(work.session, staff_id, work.now)
    _audit(work, caller, "disable", f"staff:{staff_id}")
    return _done(request, "Disabled, and signed out everywhere.")


@router.post("/people/{staff_id}/enable")
def enable(request: Request, work: WorkDep, caller: AdminActing, staff_id: PersonId) -> Response:
    """Enable an account again."""
    accounts.enable(work.session, staff_id)
    _audit(work, caller, "enable", f"staff:{staff_id}")
    return _done(request, "They can sign in again.")


@router.post("/people/{staff_id}/sign-out")
def sign_out(request: Request, work: WorkDep, caller: AdminActing, staff_id: PersonId) -> Response:
    """Close all sessions of an account."""
    accounts.close_sessions_of(work.session, staff_id)
    _audit(work, caller, "sign out", f"staff:{staff_id}")
    return _done(request, "Signed out everywhere.")


@router.post("/keys")
def add_key(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    name: _Line,
    scope: Annotated[list[Scope], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Create a key, and show it this once."""
    return _create_key(request, work, caller, name, frozenset(scope))


@router.post("/keys/{key_id}/rotate")
def rotate_key(request: Request, work: WorkDep, caller: AdminActing, key_id: PersonId) -> Response:
    """Create a second key of the same name and scopes. The old one works until it is revoked."""
    for key in accounts.list_keys(work.session):
        if key.id == key_id:
            return _create_key(request, work, caller, key.name, key.scopes)
    return _show(request, work, fault="There is no such key.")


def _create_key(
    request: Request, work: UnitOfWork, caller: Caller, name: str, scopes: frozenset[Scope]
) -> Response:
    try:
        key, secret = accounts.add_key(work.session, name, scopes)
    except Refusal as fault:
        return _show(request, work, fault=fault.detail)
    _audit(work, caller, "add", f"key:{key.id}", name=key.name, scopes=sorted(scopes))
    return _show(request, work, secret=secret)


@router.post("/keys/{key_id}/revoke")
def revoke_key(request: Request, work: WorkDep, caller: AdminActing, key_id: PersonId) -> Response:
    """Revoke a key. Within two seconds no process accepts it."""
    accounts.revoke_key(work.session, key_id, work.now)
    _audit(work, caller, "revoke", f"key:{key_id}")
    return _done(request, "The key is revoked.")


@router.post("/people/{staff_id}/no-code")
def turn_codes_off(
    request: Request, work: WorkDep, caller: AdminActing, staff_id: PersonId
) -> Response:
    """Turn one-time codes off for somebody who has lost the phone."""
    second_factor.keep(work.session, staff_id, None)
    accounts.close_sessions_of(work.session, staff_id)
    _audit(work, caller, "ask for no codes", f"staff:{staff_id}")
    return _done(request, "They sign in with the password alone now.")


def _refuse_disabling_oneself(me: Staff, staff_id: int) -> None:
    if me.id == staff_id:
        raise Conflict("You cannot disable yourself. Ask another admin.")


def _audit(work: UnitOfWork, caller: Caller, verb: str, target: str, **detail: object) -> None:
    audit.write(work.session, caller.name, verb, target, by=caller.label, **detail)


def _done(request: Request, sentence: str) -> Response:
    return redirect(request, "/control/people", sentence)
