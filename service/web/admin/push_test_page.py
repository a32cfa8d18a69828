"""Control's page where a developer pushes once to a device, and reads the provider's answer."""

from typing import Annotated, Any

from fastapi import Form, Query, Request, Response

from service.actions.apps import developer_pushes
from service.actions.apps.app_administration import providers_in_use
from service.actions.apps.developer_pushes import LONGEST_PASTE, PushOutcome
from service.domain.errors import Conflict, Invalid, Unavailable
from service.http.api_document import Router
from service.http.dependencies import SettingsDep, WorkDep, limit
from service.settings import Settings
from service.unit_of_work import UnitOfWork
from service.web.rendering import render
from service.web.visitors import Admin, AdminActing

router = Router(prefix="/control/test-push", in_document=False)
PUSHES_PER_MINUTE = 6


@router.get("")
def show(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    _: Admin,
    app: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show the form."""
    return render(request, "test_push.html", **_form(work, settings, app))


@router.post("")
def push(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    app: Annotated[str, Form(max_length=40)] = "",
    address: Annotated[str, Form(max_length=2 * LONGEST_PASTE)] = "",
) -> Response:
    """Push once, and show the answer. The address is kept nowhere."""
    limit(request, "test pushes to an address", caller.name, PUSHES_PER_MINUTE)
    form = _form(work, settings, app) | {"address": address}
    try:
        order = developer_pushes.prepare_push(work, settings, app, address, caller)
    except (Invalid, Conflict) as refusal:
        fault = {"fault": refusal.detail, "wrong": getattr(refusal, "field", "")}
        return render(request, "test_push.html", status=422, **form | fault)
    # Who pushed is on record before the push leaves, and no transaction is open meanwhile.
    work.session.commit()
    try:
        outcome = developer_pushes.send_push(settings, order)
    except Unavailable as refusal:
        return render(request, "test_push.html", status=503, **form | {"fault": refusal.detail})
    return render(request, "test_push.html", **form | {"outcome": outcome})


def _form(work: UnitOfWork, settings: Settings, app: str) -> dict[str, Any]:
    outcome: PushOutcome | None = None
    apps = providers_in_use(work, settings.providers)
    return {
        "apps": apps,
        "chosen": app,
        "address": "",
        "fault": "",
        "wrong": "",
        "outcome": outcome,
    }
