"""The browser as a device: Get alerts, and subscriptions that the browser has renewed."""

from typing import Annotated

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from service import provider_door
from service.actions import readers as reader_actions
from service.domain.device import MAX_ADDRESS, Registration
from service.domain.errors import Invalid
from service.domain.language import MAX_LANGUAGES, parse_language
from service.domain.subscription import Urgency
from service.domain.time_zone import canonical_name
from service.http.api_document import Router
from service.http.dependencies import Line, SettingsDep, WorkDep, at_most
from service.store.readers import subscriptions
from service.web.rendering import PRIVATE
from service.web.visitors import (
    READER_PATH,
    FromOurPages,
    ReaderOrNone,
    ensure_reader,
    set_reader_cookie,
)

router = Router(prefix=READER_PATH, in_document=False)
PROVIDER = "webpush"
MAX_TOPICS = 24
_Endpoint = Annotated[str, Field(max_length=MAX_ADDRESS)]


class SubscriptionKeys(BaseModel):
    """The keys that payloads are encrypted with (RFC 8291)."""

    p256dh: Annotated[str, Field(max_length=200)]
    auth: Annotated[str, Field(max_length=100)]


class BrowserRegistration(BaseModel):
    """A browser's push subscription, with the topics that its reader chose in the same dialog."""

    endpoint: _Endpoint
    keys: SubscriptionKeys
    replaces: _Endpoint | None = None
    topics: Annotated[list[Line], at_most(MAX_TOPICS)] = []
    least_urgency: Urgency = Urgency.QUIET
    language: Line = "en"
    timezone: Line = "UTC"
    languages: Annotated[list[Line], at_most(MAX_LANGUAGES)] | None = None
    """What the reader reads, as chosen in the dialog; left out: it stays as it is."""


@router.get("/browser")
def vapid_key() -> Response:
    """Return the key that browsers subscribe with; null if Web Push is not set up."""
    return JSONResponse(
        {"key": provider_door.vapid_public_key()}, headers={"Cache-Control": "public, max-age=300"}
    )


@router.put("/browser", dependencies=[FromOurPages])
def register(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    current: ReaderOrNone,
    body: BrowserRegistration,
) -> Response:
    """Register this browser and follow the topics, all or nothing."""
    if current is None:
        body = _replace_unknown(body)
    reader, token = ensure_reader(request, work, current, body.language, body.timezone)
    if body.languages is not None:
        languages = reader_actions.ReaderChanges(languages=tuple(body.languages))
        reader = reader_actions.change_reader(work, reader, languages)
    registration = Registration(
        provider=PROVIDER,
        address=body.endpoint,
        p256dh=body.keys.p256dh,
        auth=body.keys.auth,
        locale=reader.language,
        replaces=body.replaces,
    )
    device, _ = reader_actions.register_device(work, settings.seal_keys, reader, registration)
    for path in body.topics:
        if subscriptions.get(work.session, reader.id, path) is None:
            reader_actions.follow(work, reader, path, body.least_urgency)
    page = subscriptions.page(work.session, reader.id, None, reader_actions.MAX_SUBSCRIPTIONS)
    follows = [one.topic for one in page.items]
    response = JSONResponse(
        {
            "reader": True,
            "follows": follows,
            "device": str(device.id),
            "languages": list(reader.languages),
        },
        headers={"Cache-Control": PRIVATE},
    )
    set_reader_cookie(request, response, token)
    return response


def _replace_unknown(body: BrowserRegistration) -> BrowserRegistration:
    """Replace a language or a time zone that we do not know by the default."""
    defaults = {}
    if canonical_name(body.timezone) is None:
        defaults["timezone"] = "UTC"
    try:
        parse_language(body.language)
    except Invalid:
        defaults["language"] = "en"
    return body.model_copy(update=defaults)
