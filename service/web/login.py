"""Staff sign in and out. Whoever fails learns only that it failed."""



from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from service.api.dependencies import LoginsLimited, SettingsDep, WorkDep
from service.auth import STAFF_COOKIE
from service.store import audit, people
from service.web import guards
from service.web.rendering import PRIVATE, render
from service.web.visitors import EditorActing, FromOurPages, StaffOrNone, secure

router = APIRouter()
HOME = "/desk"
REFUSED = "The e-mail or the password is wrong."


@router.get("/login")
def ask(
    request: Request,
    settings: SettingsDep,
    staff: StaffOrNone,
    next: Annotated[str | None, Query(max_length=500)] = None,  # noqa: A002 - the address's word
) -> Response:
    """Show the form, unless the visitor is signed in."""
    where = guards.local_path(next, HOME)
    if staff is not None:
        return RedirectResponse(where, 303, headers={"Cache-Control": PRIVATE})
    return render(request, "login.html", next=where, email="", fault="")


@router.post("/login", dependencies=[FromOurPages, LoginsLimited])
def sign_in(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    email: Annotated[str, Form(max_length=320)],
    password: Annotated[str, Form(max_length=people.LONGEST_PASSWORD)],
    next: Annotated[str | None, Form(max_length=500)] = None,  # noqa: A002 - the form's word
) -> Response:
    """Open a session, or say nothing about why not."""
    where = guards.local_path(next, HOME)
    staff = people.authenticate(work.session, email, password, work.now)
    if staff is None:
        return render(
            request, "login.html", status=401, next=where, email=email, fault=REFUSED
        )
    lasting = timedelta(hours=settings.session_hours)
    token = people.open_session(work.session, staff.id, work.now, lasting)
    audit.write(work.session, staff.email, "signed in", f"staff {staff.id}")
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


@router.post("/logout")
def sign_out(request: Request, work: WorkDep, caller: EditorActing) -> Response:
    """End the session here and on the server."""
    people.close_session(work.session, request.cookies[STAFF_COOKIE])
    audit.write(work.session, caller.label, "signed out", caller.name)
    answer = RedirectResponse("/login", 303, headers={"Cache-Control": PRIVATE})
    answer.delete_cookie(STAFF_COOKIE, path="/")
    return answer
