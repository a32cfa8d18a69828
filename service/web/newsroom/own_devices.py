"""The editor's own devices on Send Push, and what became of a test on each of them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from service.actions import test_pushes
from service.domain.alert import Alert, Kind
from service.domain.errors import no_such
from service.domain.people import Staff
from service.http.dependencies import Id, SettingsDep, WorkDep
from service.settings import Settings
from service.store.alerts import alerts
from service.store.deliveries import device_reports
from service.unit_of_work import UnitOfWork
from service.web.rendering import render
from service.web.visitors import Editor

router = APIRouter(prefix="/desk/stories/{story_id}/push/test")


def tested(
    work: UnitOfWork, settings: Settings, staff: Staff, test: Alert | None
) -> dict[str, Any]:
    """Return what the page tells: the devices, and how the test fared on each; None for no test."""
    own = test_pushes.devices_of(work, staff, settings.providers)
    if test is None:
        return {"own": own, "test": None, "fates": [], "test_runs": False}
    fates = [(device, device_reports.report(work.session, test, device.id)) for device in own]
    settled = all(fate is None or fate.state.final for _, fate in fates)
    runs = not (test.state.final and settled)
    return {"own": own, "test": test, "fates": fates, "test_runs": runs}


@router.get("/{alert_id}")
def fates(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    story_id: Annotated[Id, Path()],
    alert_id: Annotated[Id, Path()],
) -> Response:
    """Return how a test fares now: a fragment, in place of the one shown."""
    test = alerts.get(work.session, alert_id)
    if test is None or test.kind is not Kind.TEST or test.story_id != story_id:
        raise no_such("test")
    told = tested(work, settings, staff, test)
    return render(request, "push_test.html", test_fault="", **told)
