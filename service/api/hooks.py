"""Signed webhooks: other systems send their stories to the address of their source."""

from typing import Any

from fastapi import Request

from service.actions.hook_deliveries import HookResult, find_signing_source, take_delivery
from service.api.ingest import IngestAnswer, show_document
from service.domain.errors import Unauthenticated
from service.http.admission import run_admitted
from service.http.api_document import Router
from service.store.session import transaction
from service.unit_of_work import unit_of_work

router = Router(prefix="/api/hooks", tags=["sources"])
_DOCUMENT: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Unsigned, forged, or the source has no secret"},
    409: {"description": "Outside the replay window, taken in before, or the source is paused"},
    413: {"description": "More than 1 MiB"},
    422: {"description": "Authentic, but no story could be read; the delivery is kept"},
}


@router.post("/{name}", responses=_ANSWERS, openapi_extra=_DOCUMENT)
async def receive_hook(request: Request, name: str) -> IngestAnswer:
    """Take in one signed delivery of a source; answered as the calls for news formats.

    It is received once there is such a source, and read once its signature is found sound. An
    authentic one is kept for seven days, whatever becomes of it.
    """
    if not any(header.startswith("x-") and "signature" in header for header in request.headers):
        raise Unauthenticated("The delivery has no signature.")
    await run_admitted(request, _require_source, request, name)
    body = await request.body()
    result = await run_admitted(request, _take, request, name, body)
    if result.refusal is not None:
        raise result.refusal
    return show_document(result.document, request.app.state.settings.public_url)


def _require_source(request: Request, name: str) -> None:
    with transaction(request.app.state.engine) as session:
        find_signing_source(session, name)


def _take(request: Request, name: str, body: bytes) -> HookResult:
    state = request.app.state
    with unit_of_work(state.engine, state.broker) as work:
        return take_delivery(work, name, request.headers, body, state.settings)
