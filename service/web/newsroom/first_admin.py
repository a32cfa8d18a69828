"""The page of the first admin, who sets a password; its link is in the log of `newszop migrate`."""

from typing import Annotated

import structlog
from fastapi import Form, Path, Request, Response

from service.domain.errors import Conflict, Invalid
from service.http.api_document import Router
from service.http.dependencies import WorkDep, counted_caller, limit
from service.store.staff import accounts, audit, first_admin
from service.web.rendering import redirect, render
from service.web.visitors import FromOurPages

router = Router(prefix="/first-admin", in_document=False)
log = structlog.get_logger()
TRIES, TRIES_PER_MINUTE = "tries of a first admin's link", 10
DIFFERENT = "The two passwords differ."
_Token = Annotated[str, Path(max_length=100)]
_Password = Annotated[str, Form(max_length=accounts.LONGEST_PASSWORD)]


@router.get("/{token}")
def show(request: Request, work: WorkDep, token: _Token) -> Response:
    """Show the form, to who has the link."""
    limit(request, TRIES, counted_caller(request), TRIES_PER_MINUTE)
    return _form(request, first_admin.email_of(work.session, token, work.now))


@router.post("/{token}", dependencies=[FromOurPages])
def set_password(
    request: Request, work: WorkDep, token: _Token, password: _Password, again: _Password
) -> Response:
    """Add the first admin. The link ends."""
    limit(request, TRIES, counted_caller(request), TRIES_PER_MINUTE)
    email = first_admin.email_of(work.session, token, work.now)
    if password != again:
        return _form(request, email, fault=DIFFERENT)
    try:
        staff = first_admin.add_first_admin(work.session, token, password, work.now)
    except (Invalid, Conflict) as refusal:
        work.session.rollback()
        return _form(request, email, fault=refusal.detail)
    audit.write(work.session, "first admin's link", "add", f"staff:{staff.id}", role=staff.role)
    log.info("the first admin has set a password", staff=staff.id)
    return redirect(request, "/login", "Your password is set. Sign in with it.")


def _form(request: Request, email: str, *, fault: str = "") -> Response:
    return render(
        request,
        "first_admin.html",
        status=422 if fault else 200,
        email=email,
        fault=fault,
        shortest=accounts.SHORTEST_PASSWORD,
    )
