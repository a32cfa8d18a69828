"""The JSON of alerts: the bodies of requests and the reports that answer them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.api.requests.alert_parts import (
    HeadlineShown,
    LeftOutShown,
    ReleaseShown,
    show_left_out,
    show_releases,
)
from service.domain.alert import (
    Alert,
    AlertState,
    Kind,
    Report,
)
from service.domain.pace.local_release import MissedZones
from service.domain.subscription import Urgency
from service.domain.totals import Totals
from service.http.dependencies import Id, Moment


def _is_absent(value: object) -> bool:
    return value is None


def _is_empty(value: dict[str, str]) -> bool:
    return not value


class Accepted(BaseModel):
    """The answer to an accepted alert: every delivery of it is accounted for from now on."""

    id: Id
    state: AlertState
    story_id: Id
    url: str


class AlertReplayed(Accepted):
    """An alert with the number of devices that are pushed to again."""

    devices: int


class TotalsShown(BaseModel):
    """Deliveries by state; planned is always the sum of the other seven."""

    planned: int
    pending: int
    retrying: int
    accepted: int
    gone: int
    expired: int
    buried: int
    cancelled: int


class TimingShown(BaseModel):
    """Milliseconds from when the alert was due until so many were accepted."""

    first_ms: int | None
    p50_ms: int | None
    p90_ms: int | None
    last_ms: int | None


class ReceiptsShown(BaseModel):
    """Devices that reported the alert as shown or opened."""

    shown: int
    opened: int


class AlertShown(BaseModel):
    """An alert and its results so far."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: Id
    story_id: Id
    kind: Kind
    state: AlertState
    title: str | None
    body: str | None
    urgency: Urgency
    created_at: Moment
    send_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment
    totals: TotalsShown
    by_provider: dict[str, TotalsShown]
    by_app: dict[str, TotalsShown]
    apps: list[str] | None = Field(
        None, exclude_if=_is_absent, description="The apps that it goes to, where not to all."
    )
    timing: TimingShown
    receipts: ReceiptsShown
    results_known: int = Field(
        description="Devices of readers who share results: `receipts` are of these."
    )
    left_out: LeftOutShown
    spread_seconds: int = Field(description="Over how long it leaves; 0 is at once.")
    local_time: str | None = Field(
        None, exclude_if=_is_absent, description="The time of day at which it leaves in each zone."
    )
    local_day: str | None = Field(
        None, exclude_if=_is_absent, description="The calendar day of that, where send_at named it."
    )
    when_missed: MissedZones | None = Field(
        None, exclude_if=_is_absent, description="As missed in the request."
    )
    releases: list[ReleaseShown] | None = Field(
        None,
        exclude_if=_is_absent,
        description="With local_time, once it has started: where it has not left yet, the next "
        "first. Empty when it has left everywhere.",
    )
    variants: list[HeadlineShown] | None = Field(None, exclude_if=_is_absent)
    test_share: float | None = Field(None, exclude_if=_is_absent)
    test_minutes: int | None = Field(None, exclude_if=_is_absent)
    choice: int | None = Field(
        None,
        alias="chosen",
        exclude_if=_is_absent,
        description="Which of the variants goes to the rest, 0 or 1; absent until it is decided.",
    )
    reason: str | None = Field(None, exclude_if=_is_absent, description="Why that one.")
    dry_run: bool
    test: bool = Field(description="For the devices of the editor who sent it, and no others.")
    created_by: str
    url: str
    source_alert_id: Id | None = Field(None, exclude_if=_is_absent)
    stop_reason: str | None = Field(None, exclude_if=_is_absent)
    wait_reason: str | None = Field(
        None,
        exclude_if=_is_absent,
        description="Why a scheduled alert has not left although its time has come.",
    )
    restored_at: Moment | None = Field(
        None,
        exclude_if=_is_absent,
        description="When a backup was restored that has this alert unfinished: it may have gone "
        "out since. Nothing of it leaves until somebody continues or stops it.",
    )
    causes: dict[str, str] = Field(
        {},
        exclude_if=_is_empty,
        description="By provider: the most frequent last reason of deliveries that wait for "
        "another attempt, or that expired or were cancelled after one.",
    )


class FateShown(BaseModel):
    """What happened to one device."""

    state: str
    provider: str
    app: str
    reason: str | None = None
    attempts: int
    may_have_arrived: bool


def alert_url(site: str, alert_id: int) -> str:
    """Return the address of an alert's page; `site` is the setting PUBLIC_URL."""
    return f"{site}/desk/alerts/{alert_id}"


def accept_alert(alert: Alert, site: str) -> Accepted:
    """Return the answer to a call that sent or changed an alert."""
    return Accepted(
        id=alert.id, state=alert.state, story_id=alert.story_id, url=alert_url(site, alert.id)
    )


def show_alert(report: Report, site: str) -> AlertShown:
    """Return an alert's report, the same in every call and every event."""
    alert = report.alert
    return AlertShown(
        id=alert.id,
        story_id=alert.story_id,
        kind=alert.kind,
        state=alert.state,
        title=alert.title,
        body=alert.body,
        urgency=alert.urgency,
        created_at=alert.created_at,
        send_at=alert.send_at,
        started_at=alert.started_at,
        finished_at=alert.finished_at,
        expires_at=alert.expires_at,
        totals=_totals(report.totals),
        by_provider={name: _totals(totals) for name, totals in report.by_provider.items()},
        by_app={name: _totals(totals) for name, totals in report.by_app.items()},
        apps=None if alert.apps is None else list(alert.apps),
        timing=TimingShown.model_validate(report.timing, from_attributes=True),
        receipts=ReceiptsShown(shown=report.shown, opened=report.opened),
        results_known=report.known,
        left_out=show_left_out(report.left_out),
        spread_seconds=int(alert.spread.total_seconds()),
        **_local_release(report),
        **_headlines(report),
        dry_run=alert.dry_run,
        test=alert.kind is Kind.TEST,
        restored_at=alert.restored_at,
        created_by=alert.created_by,
        url=alert_url(site, alert.id),
        source_alert_id=alert.source_alert_id,
        stop_reason=alert.stop_reason,
        wait_reason=alert.wait_reason,
        causes=dict(report.causes),
    )


def _local_release(report: Report) -> dict[str, Any]:
    local = report.alert.local_release
    if local is None:
        return {}
    return {
        "local_time": f"{local.time_of_day:%H:%M}",
        "local_day": local.day and local.day.isoformat(),
        "when_missed": local.when_missed,
        "releases": show_releases(report.releases) if report.alert.started_at else None,
    }


def _headlines(report: Report) -> dict[str, Any]:
    test, choice = report.alert.headline_test, report.headline_choice
    if test is None:
        return {}
    return {
        "variants": [
            HeadlineShown(
                title=each.title,
                body=each.body,
                sent=each.devices,
                accepted=each.group.accepted,
                opened=each.group.opened,
            )
            for each in report.headlines
        ],
        "test_share": test.share,
        "test_minutes": test.minutes,
        "chosen": choice and choice.headline,
        "reason": choice and choice.reason,
    }


def _totals(totals: Totals) -> TotalsShown:
    return TotalsShown.model_validate(totals.as_dict())
