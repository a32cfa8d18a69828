"""How editors upload a picture: the story form sends its bytes by script."""

from datetime import UTC, datetime

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from service.domain.media.pictures import path_of
from service.domain.people import Caller
from service.http.admission import run_admitted
from service.http.api_document import Router
from service.http.auth import STAFF_COOKIE, caller_of_staff, staff_from_cookie
from service.http.media.picture_bodies import take_picture
from service.store.session import transaction
from service.web import form_guards
from service.web.rendering import PRIVATE
from service.web.visitors import SignInFirst

router = Router(prefix="/desk/pictures", in_document=False)


@router.post("")
async def upload(request: Request) -> Response:
    """Store a picture, and return the path for the form and a small size to show there."""
    caller = await run_admitted(request, _require_editor, request)
    form_guards.check_csrf(request, None)
    picture, _ = await take_picture(request, caller)
    answer = {
        "path": picture.path,
        "preview": path_of(picture.id, picture.widths[0]),
        "width": picture.width,
        "height": picture.height,
    }
    return JSONResponse(answer, headers={"Cache-Control": PRIVATE})


def _require_editor(request: Request) -> Caller:
    with transaction(request.app.state.engine) as session:
        token = request.cookies.get(STAFF_COOKIE)
        staff = staff_from_cookie(session, token, datetime.now(UTC))
    if staff is None:
        raise SignInFirst
    return caller_of_staff(staff)
