"""My own account: the password, the second factor, the devices that get my tests."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from itsdangerous import BadSignature, Signer

from service.actions import test_pushes
from service.domain import one_time_code
from service.domain.errors import Invalid
from service.domain.people import Caller, Staff, hash_token
from service.http.dependencies import SettingsDep, WorkDep, limit
from service.settings import Settings
from service.store.readers import readers
from service.store.staff import accounts, audit, second_factor
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.rendering import PRIVATE, render
from service.web.visitors import Editor, EditorActing

router = APIRouter(prefix="/desk/account")
TOKENS_PER_MINUTE = 10
_Password = Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)]


@router.get("")
def show(request: Request, work: WorkDep, settings: SettingsDep, staff: Editor) -> Response:
    """Show what can be changed."""
    return _show(request, work, settings, staff)


def _show(
    request: Request,
    work: UnitOfWork,
    settings: Settings,
    staff: Staff,
    *,
    fault: str = "",
    secret: str = "",
) -> Response:
    offered = secret or one_time_code.encode_secret(secrets.token_bytes(one_time_code.SECRET_BYTES))
    return render(
        request,
        "account.html",
        status=422 if fault else 200,
        fault=fault,
        tied=staff.reader_id is not None,
        own=test_pushes.devices_of(work, staff, settings.providers),
        has_code=second_factor.secret_of(work.session, staff.id) is not None,
        secret=offered,
        signed=_signer(settings, staff).sign(offered).decode(),
        address=one_time_code.address(offered, staff.email, settings.site_name),
    )


@router.post("/password")
def change_password(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    present: _Password,
    password: _Password,
) -> Response:
    """Change my password; every session ends, this one too."""
    if accounts.authenticate(work.session, staff.email, present, work.now) is None:
        return _show(request, work, settings, staff, fault="The present password is wrong.")
    try:
        accounts.set_password(work.session, staff.id, password)
    except Invalid as fault:
        return _show(request, work, settings, staff, fault=fault.detail)
    _note(work, caller, "change password")
    return RedirectResponse("/login", 303, headers={"Cache-Control": PRIVATE})


@router.post("/code")
def keep_code(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    signed: Annotated[str, Form(max_length=200)],
    code: Annotated[str, Form(max_length=20)],
) -> Response:
    """Ask for one-time codes from now on, once a first one shows that the app has the secret."""
    try:
        secret = _signer(settings, staff).unsign(signed).decode()
    except BadSignature:
        return _show(request, work, settings, staff, fault="Begin again: the form is out of date.")
    if one_time_code.step_of(secret, code, work.now) is None:
        fault = "This code is not right: look at the app and the clock."
        return _show(request, work, settings, staff, fault=fault, secret=secret)
    second_factor.keep(work.session, staff.id, secret)
    _note(work, caller, "ask for codes")
    return _done(request, "From now on signing in asks for a code, too.")


@router.post("/no-code")
def drop_code(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    present: _Password,
) -> Response:
    """Ask for no codes any more; the password says that it is me."""
    if accounts.authenticate(work.session, staff.email, present, work.now) is None:
        return _show(request, work, settings, staff, fault="The present password is wrong.")
    second_factor.keep(work.session, staff.id, None)
    _note(work, caller, "ask for no codes")
    return _done(request, "Signing in asks for the password alone.")


@router.post("/devices")
def tie(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    token: Annotated[str, Form(max_length=200)],
) -> Response:
    """Send my tests to the devices of the reader with this token: an app has no page to say so."""
    limit(request, "tokens", caller.name, TOKENS_PER_MINUTE)
    reader = readers.by_token(work.session, hash_token(token.strip()))
    if reader is None:
        return _show(request, work, settings, staff, fault="No reader has this token.")
    test_pushes.tie(work, staff, reader.id, caller)
    return _done(request, "Your tests go to that reader's devices now.")


@router.post("/devices/untie")
def untie(request: Request, work: WorkDep, staff: Editor, caller: EditorActing) -> Response:
    """Send my tests to no device."""
    test_pushes.untie(work, staff, caller)
    return _done(request, "Your devices get no more tests.")


def _signer(settings: Settings, staff: Staff) -> Signer:
    return Signer(settings.secret_key, salt=f"one-time code {staff.id}")


def _note(work: UnitOfWork, caller: Caller, verb: str) -> None:
    audit.write(work.session, caller.name, verb, caller.name, by=caller.label)


def _done(request: Request, sentence: str) -> Response:
    answer = RedirectResponse("/desk/account", 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, sentence)
    return answer
