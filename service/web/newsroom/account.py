"""The account page: password, one-time codes, and the devices that get one's tests."""

import secrets
from typing import Annotated

from fastapi import Form, Request, Response
from itsdangerous import BadSignature, Signer

from service.actions import editor_test_pushes
from service.domain import one_time_code
from service.domain.errors import Invalid
from service.domain.people import Caller, Staff, hash_token
from service.http.api_document import Router
from service.http.dependencies import SettingsDep, WorkDep, limit
from service.settings import Settings
from service.store.readers import readers
from service.store.staff import accounts, audit, second_factor
from service.unit_of_work import UnitOfWork
from service.web.qr_codes import draw_qr_code
from service.web.rendering import redirect, render
from service.web.visitors import Editor, EditorActing

router = Router(prefix="/desk/account", in_document=False)
TOKENS_PER_MINUTE = 10
PASSWORDS_PER_MINUTE = 10
WRONG_PASSWORD = "The current password is wrong."  # noqa: S105 - a sentence
_Password = Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)]


@router.get("")
def show(request: Request, work: WorkDep, settings: SettingsDep, staff: Editor) -> Response:
    """Show the account."""
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
    new_secret = secret or one_time_code.encode_secret(
        secrets.token_bytes(one_time_code.SECRET_BYTES)
    )
    address = one_time_code.address(new_secret, staff.email, settings.site_name)
    return render(
        request,
        "account.html",
        status=422 if fault else 200,
        fault=fault,
        paired=staff.reader_id is not None,
        devices=editor_test_pushes.devices_of(work, staff, settings.providers),
        has_code=second_factor.secret_of(work.session, staff.id) is not None,
        secret=new_secret,
        signed=_signer(settings, staff).sign(new_secret).decode(),
        address=address,
        qr_code=draw_qr_code(address),
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
    """Change the password. Every session ends, this one too."""
    if not _confirm(request, work, staff, present):
        return _show(request, work, settings, staff, fault=WRONG_PASSWORD)
    try:
        accounts.set_password(work.session, staff.id, password)
    except Invalid as fault:
        return _show(request, work, settings, staff, fault=fault.detail)
    _audit(work, caller, "change password")
    return redirect(request, "/login")


@router.post("/code")
def turn_codes_on(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    signed: Annotated[str, Form(max_length=200)],
    code: Annotated[str, Form(max_length=20)],
    present: _Password = "",
) -> Response:
    """Turn one-time codes on: the password confirms it, and a first code that the app works."""
    try:
        secret = _signer(settings, staff).unsign(signed).decode()
    except BadSignature:
        return _show(request, work, settings, staff, fault="The form is out of date. Start again.")
    if not _confirm(request, work, staff, present):
        return _show(request, work, settings, staff, fault=WRONG_PASSWORD, secret=secret)
    step = one_time_code.step_of(secret, code, work.now)
    if step is None:
        fault = "This code is wrong. Check the app, and the clock of your device."
        return _show(request, work, settings, staff, fault=fault, secret=secret)
    second_factor.keep(work.session, staff.id, secret, step)
    _audit(work, caller, "ask for codes")
    return _done(request, "Signing in asks for a code from now on.")


@router.post("/no-code")
def turn_codes_off(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    present: _Password,
) -> Response:
    """Turn one-time codes off; the password confirms it."""
    if not _confirm(request, work, staff, present):
        return _show(request, work, settings, staff, fault=WRONG_PASSWORD)
    second_factor.keep(work.session, staff.id, None)
    _audit(work, caller, "ask for no codes")
    return _done(request, "Signing in asks for the password only.")


@router.post("/devices")
def pair_devices(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    token: Annotated[str, Form(max_length=200)],
) -> Response:
    """Send one's tests to the devices of the reader with this token. Apps pair in this way."""
    limit(request, "tokens", caller.name, TOKENS_PER_MINUTE)
    reader = readers.by_token(work.session, hash_token(token.strip()))
    if reader is None:
        return _show(request, work, settings, staff, fault="No reader has this token.")
    editor_test_pushes.tie(work, staff, reader.id, caller)
    return _done(request, "Your tests go to that reader's devices now.")


@router.post("/devices/untie")
def unpair_devices(
    request: Request, work: WorkDep, staff: Editor, caller: EditorActing
) -> Response:
    """Send one's tests to no device."""
    editor_test_pushes.untie(work, staff, caller)
    return _done(request, "Your devices get no more tests.")


def _confirm(request: Request, work: UnitOfWork, staff: Staff, present: str) -> bool:
    """Say whether this is the password; a stolen session is no way to guess it."""
    limit(request, "tries with a password", str(staff.id), PASSWORDS_PER_MINUTE)
    return accounts.authenticate(work.session, staff.email, present, work.now) is not None


def _signer(settings: Settings, staff: Staff) -> Signer:
    return Signer(settings.signing_secrets[::-1], salt=f"one-time code {staff.id}")


def _audit(work: UnitOfWork, caller: Caller, verb: str) -> None:
    audit.write(work.session, caller.name, verb, caller.name, by=caller.label)


def _done(request: Request, sentence: str) -> Response:
    return redirect(request, "/desk/account", sentence)
