"""The editor's own devices on Send Push, and the state of a test on each of them."""

from typing import Annotated, Any

from fastapi import Path, Request, Response

from service.actions import editor_test_pushes
from service.domain.alert import Alert, Kind
from service.domain.errors import no_such
from service.domain.people import Staff
from service.http.api_document import Router
from service.http.dependencies import Id, SettingsDep, WorkDep
from service.settings import Settings
from service.store.alerts import alerts
from service.store.deliveries import device_reports
from service.unit_of_work import UnitOfWork
from service.web.rendering import render
from service.web.visitors import Editor

router = Router(prefix="/desk/stories/{story_id}/push/test", in_document=False)


def describe_test(
    work: UnitOfWork, settings: Settings, staff: Staff, test: Alert | None
) -> dict[str, Any]:
    """Return what the page shows: the devices, and the state of the test, if any, on each."""
    devices = editor_test_pushes.devices_of(work, staff, settings.providers)
    if test is None:
        return {"devices": devices, "test": None, "results": [], "test_runs": False}
    results = [(one, device_reports.report(work.session, test, one.id)) for one in devices]
    all_final = all(result is None or result.state.final for _, result in results)
    is_running = not (test.state.final and all_final)
    return {"devices": devices, "test": test, "results": results, "test_runs": is_running}


@router.get("/{alert_id}")
def show_test(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    story_id: Annotated[Id, Path()],
    alert_id: Annotated[Id, Path()],
) -> Response:
    """Return the state of a test: a fragment that replaces the one shown."""
    test = alerts.get(work.session, alert_id)
    if test is None or test.kind is not Kind.TEST or test.story_id != story_id:
        raise no_such("test")
    context = describe_test(work, settings, staff, test)
    return render(request, "push_test.html", test_fault="", **context)
