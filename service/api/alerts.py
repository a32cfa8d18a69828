"""AN ALERT IS SENT HERE: Send Push, its report and its events, stop, replay, withdraw."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import Header, Request, Response, status
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from service.actions import alerts as alert_actions
from service.actions import estimates, replays
from service.actions.idempotent_call import run_once
from service.api.alert_events import WatchesDep
from service.api.alert_shapes import (
    Accepted,
    AlertReplayed,
    AlertShown,
    FateShown,
    accept_alert,
    show_alert,
)
from service.api.requests.alert_body import AlertBody, WordsBody
from service.api.requests.alert_parts import EstimateShown, show_left_out, show_releases
from service.domain.alert import Report
from service.domain.errors import NotFound, require
from service.domain.pace.open_rate import opens_per_second
from service.domain.people import Caller, Scope
from service.http.api_document import Router
from service.http.auth import AlertWriter, still_has_scope
from service.http.dependencies import Cursor, Id, Limit, Listing, SettingsDep, WorkDep, page
from service.store.alerts import alerts
from service.store.deliveries import device_reports
from service.store.operations import apps
from service.unit_of_work import UnitOfWork

router = Router(prefix="/api", tags=["alerts"])
ACCEPTED = status.HTTP_202_ACCEPTED

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="For 48 hours a call with the same key gets the first answer and does "
        "nothing; with another body it is refused.",
    ),
]


@router.post("/stories/{story_id}/alerts/estimate")
def estimate_audience(
    work: WorkDep,
    settings: SettingsDep,
    _: AlertWriter,
    story_id: Id,
    body: AlertBody | None = None,
) -> EstimateShown:
    """Say how many devices this alert would reach, exactly up to 200,000."""
    draft = (body or AlertBody()).read()
    estimate = estimates.estimate_audience(work, story_id, draft, settings)
    share = estimates.past_open_share(work)
    return EstimateShown(
        devices=estimate.devices,
        by_provider=dict(estimate.by_provider),
        by_app=dict(estimate.by_app),
        exact=estimate.exact,
        left_out=show_left_out(estimate.left_out),
        spread_seconds=int(draft.spread.total_seconds()),
        releases=None if draft.local_release is None else show_releases(estimate.releases),
        needed_devices=draft.headline_test and estimates.needed_audience(work, draft.headline_test),
        open_share=share,
        opens_per_second=round(opens_per_second(estimate.devices, share, draft.spread), 2),
    )


@router.post("/stories/{story_id}/alerts", status_code=ACCEPTED, response_model=Accepted)
def send_alert(
    work: WorkDep,
    settings: SettingsDep,
    caller: AlertWriter,
    story_id: Id,
    body: AlertBody | None = None,
    key: Key = None,
) -> Response:
    """Send Push: once accepted, every delivery to the audience is made or accounted for."""
    content = body or AlertBody()

    def act() -> Accepted:
        draft = content.read()
        estimates.require_audience(work, story_id, draft, settings)
        alert = alert_actions.send_alert(work, story_id, draft, caller)
        return accept_alert(alert, settings.public_url)

    return _answer_once(work, caller, f"POST /api/stories/{story_id}/alerts", key, content, act)


@router.get("/alerts")
def list_alerts(
    work: WorkDep, settings: SettingsDep, _: AlertWriter, cursor: Cursor = None, limit: Limit = 50
) -> Listing[AlertShown]:
    """List all alerts, the newest first; editors' tests and the canaries are left out."""
    reports = alerts.page(work.session, cursor, limit)
    return page([show_alert(report, settings.public_url) for report in reports.items], reports.next)


@router.get("/alerts/{alert_id}")
def show_report(work: WorkDep, settings: SettingsDep, _: AlertWriter, alert_id: Id) -> AlertShown:
    """Report on one alert: planned is always the sum of the other seven."""
    return show_alert(_report(work, alert_id), settings.public_url)


@router.get("/alerts/{alert_id}/events", response_class=EventSourceResponse)
async def watch_totals(
    request: Request, watches: WatchesDep, alert_id: Id
) -> AsyncIterator[ServerSentEvent]:
    """Stream `event: totals` with the report, at every change and at least every second."""
    check = partial(still_has_scope, request, Scope.ALERTS_WRITE)
    async for event in watches.events(alert_id, check):
        yield event


@router.get("/alerts/{alert_id}/devices/{device_id}", response_model_exclude_none=True)
def show_delivery(work: WorkDep, _: AlertWriter, alert_id: Id, device_id: Id) -> FateShown:
    """Say what happened to one device."""
    alert = require(alerts.get(work.session, alert_id), "alert")
    fate = device_reports.report(work.session, alert, device_id)
    if fate is None:
        raise NotFound("This device is not in the alert's audience.")
    return FateShown(
        state=fate.state.name.lower(),
        provider=apps.providers(work.session).get(fate.provider, fate.provider),
        app=fate.provider,
        reason=fate.reason,
        attempts=fate.attempts,
        may_have_arrived=fate.unknown,
    )


@router.post("/alerts/{alert_id}/stop")
def stop_alert(
    work: WorkDep, settings: SettingsDep, caller: AlertWriter, alert_id: Id
) -> AlertShown:
    """Stop an alert at once; deliveries not sent yet are cancelled within a second or so."""
    alert_actions.stop(work, alert_id, caller)
    return show_alert(_report(work, alert_id), settings.public_url)


@router.post("/alerts/{alert_id}/continue")
def continue_alert(
    work: WorkDep, settings: SettingsDep, caller: AlertWriter, alert_id: Id
) -> AlertShown:
    """Let an alert of a restored backup go on (`restored_at`); to let it end, stop it."""
    replays.continue_alert(work, alert_id, caller)
    return show_alert(_report(work, alert_id), settings.public_url)


@router.post("/alerts/{alert_id}/replay")
def replay_alert(
    work: WorkDep, settings: SettingsDep, caller: AlertWriter, alert_id: Id
) -> AlertReplayed:
    """Push the buried deliveries again, under the same delivery ids."""
    devices = replays.replay_alert(work, alert_id, caller)
    alert = _report(work, alert_id).alert
    return AlertReplayed(devices=devices, **dict(accept_alert(alert, settings.public_url)))


@router.post("/alerts/{alert_id}/withdraw", status_code=ACCEPTED, response_model=Accepted)
def withdraw_alert(
    work: WorkDep,
    settings: SettingsDep,
    caller: AlertWriter,
    alert_id: Id,
    body: WordsBody,
    key: Key = None,
) -> Response:
    """Stop an alert and replace it silently on the devices that have it."""

    def act() -> Accepted:
        alert = alert_actions.withdraw(work, alert_id, body.read(), caller)
        return accept_alert(alert, settings.public_url)

    return _answer_once(work, caller, f"POST /api/alerts/{alert_id}/withdraw", key, body, act)


def _report(work: UnitOfWork, alert_id: int) -> Report:
    return require(alerts.report(work.session, alert_id), "alert")


def _answer_once(
    work: UnitOfWork,
    caller: Caller,
    endpoint: str,
    key: str | None,
    body: BaseModel,
    act: Callable[[], Accepted],
) -> Response:
    def answer() -> dict[str, Any]:
        return act().model_dump(mode="json")

    if key is None:
        return JSONResponse(answer(), ACCEPTED)
    content = body.model_dump(mode="json", exclude_unset=True)
    return JSONResponse(run_once(work, caller, endpoint, key, content, answer, ACCEPTED), ACCEPTED)
