"""The browser as a device: Get alerts, and a subscription that the browser renewed by itself."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from service import provider_door
from service.actions import readers as reader_actions
from service.domain.device import MAX_ADDRESS, Registration
from service.domain.errors import Invalid
from service.domain.language import parse_language
from service.domain.subscription import Urgency
from service.http.dependencies import Line, WorkDep
from service.store.readers import readers, subscriptions
from service.web.rendering import PRIVATE
from service.web.visitors import READER_PATH, FromOurPages, ReaderOrNone, ensure_reader, remember

router = APIRouter(prefix=READER_PATH)
PROVIDER = "webpush"
_Endpoint = Annotated[str, Field(max_length=MAX_ADDRESS)]


class Keys(BaseModel):
    """What the payload is encrypted with."""

    p256dh: Annotated[str, Field(max_length=200)]
    auth: Annotated[str, Field(max_length=100)]


class Browser(BaseModel):
    """A browser's push subscription, and what its reader asked for in the same breath."""

    endpoint: _Endpoint
    keys: Keys
    replaces: _Endpoint | None = None
    topics: Annotated[list[Line], Field(max_length=24)] = []
    least_urgency: Urgency = Urgency.QUIET
    language: Line = "en"
    timezone: Line = "UTC"


@router.get("/browser")
def key() -> Response:
    """Return the key that a browser subscribes with; null where Web Push is not set up."""
    return JSONResponse(
        {"key": provider_door.vapid_public_key()}, headers={"Cache-Control": "public, max-age=300"}
    )


@router.put("/browser", dependencies=[FromOurPages])
def register(request: Request, work: WorkDep, known: ReaderOrNone, body: Browser) -> Response:
    """Register this browser and follow the topics, all or nothing."""
    if known is None:
        body = _as_far_as_known(work, body)
    reader, token = ensure_reader(request, work, known, body.language, body.timezone)
    registration = Registration(
        provider=PROVIDER,
        address=body.endpoint,
        p256dh=body.keys.p256dh,
        auth=body.keys.auth,
        locale=reader.language,
        replaces=body.replaces,
    )
    reader_actions.register_device(work, reader, registration)
    for path in body.topics:
        if subscriptions.get(work.session, reader.id, path) is None:
            reader_actions.follow(work, reader, path, body.least_urgency)
    held = subscriptions.page(work.session, reader.id, None, reader_actions.MAX_SUBSCRIPTIONS)
    follows = [one.topic for one in held.items]
    answer = JSONResponse({"reader": True, "follows": follows}, headers={"Cache-Control": PRIVATE})
    remember(request, answer, token)
    return answer


def _as_far_as_known(work: WorkDep, body: Browser) -> Browser:
    """Put defaults where the browser's own idea of language or time zone is not one of ours."""
    changed = {}
    if not readers.has_time_zone(work.session, body.timezone):
        changed["timezone"] = "UTC"
    try:
        parse_language(body.language)
    except Invalid:
        changed["language"] = "en"
    return body.model_copy(update=changed)
