"""The JSON of alerts: the bodies of requests and the reports that answer them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from service.domain.alert import (
    DEFAULT_TTL,
    LONGEST_TTL,
    MAX_APPS,
    MAX_LOCALES,
    MAX_TEXT,
    MAX_TITLE,
    MAX_TOPICS,
    Alert,
    AlertState,
    Draft,
    Kind,
    Report,
    Words,
)
from service.domain.audience import LeftOut
from service.domain.pace.spread import LONGEST_SPREAD
from service.domain.subscription import Urgency
from service.domain.totals import Totals
from service.http.dependencies import Closed, Id, Line, Moment, at_most

Title = Annotated[str, Field(max_length=MAX_TITLE)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
_SECONDS = int(LONGEST_TTL.total_seconds())


def _is_absent(value: object) -> bool:
    return value is None


def _is_empty(value: dict[str, str]) -> bool:
    return not value


class WordsBody(Closed):
    """What an alert says in one language."""

    title: Title
    body: Text

    def read(self) -> Words:
        """Return it as a domain value."""
        return Words(self.title, self.body)


class AlertBody(Closed):
    """What an editor asks for; what is left out comes from the story."""

    title: Title | None = Field(None, description="Left out: the story's headline.")
    body: Text | None = Field(None, description="Left out: the story's summary.")
    urgency: Urgency = Field(Urgency.NORMAL, description="Breaking disturbs quiet hours.")
    topics: Annotated[list[Line], at_most(MAX_TOPICS)] | None = Field(
        None, description="Left out: the story's topics and the story itself."
    )
    everyone: bool = Field(False, description="Every reader; cannot be combined with topics.")
    ttl_seconds: int = Field(
        int(DEFAULT_TTL.total_seconds()),
        ge=1,
        le=_SECONDS,
        description="How long the alert is worth showing.",
    )
    send_at: Moment | None = Field(None, description="Left out, or in the past: now.")
    dry_run: bool = Field(False, description="Does everything but send the pushes.")
    update: bool = Field(
        False,
        description="Alone: corrects the first alert on the devices that have it. With topics or "
        "everyone: another audience; the new text replaces the earlier one where it is shown.",
    )
    locales: Annotated[dict[str, WordsBody], at_most(MAX_LOCALES)] = Field({})
    apps: Annotated[list[Line], at_most(MAX_APPS)] | None = Field(
        None, description="The apps that it goes to, by name; left out: all of them."
    )
    spread_seconds: int = Field(
        0,
        ge=0,
        le=int(LONGEST_SPREAD.total_seconds()),
        description="Over how long it leaves, evenly, so that not all readers come to the site at "
        "once; normal and quiet alerts only. 0: at once.",
    )
    one_device: bool = Field(
        False, description="Of each reader's devices only the one that was seen last."
    )

    def read(self) -> Draft:
        """Return it as a domain value."""
        return Draft(
            title=self.title,
            body=self.body,
            urgency=self.urgency,
            topics=None if self.topics is None else tuple(self.topics),
            everyone=self.everyone,
            ttl=timedelta(seconds=self.ttl_seconds),
            send_at=self.send_at,
            dry_run=self.dry_run,
            update=self.update,
            locales={tag: words.read() for tag, words in self.locales.items()},
            apps=None if self.apps is None else tuple(dict.fromkeys(self.apps)),
            one_device=self.one_device,
            spread=timedelta(seconds=self.spread_seconds),
        )


class LeftOutShown(BaseModel):
    """Devices of followers whom the alert is not for.

    Each device counts under the first reason that holds, in this order.
    """

    quiet_hours: int
    language: int = Field(description="Their readers read none of the alert's languages.")
    frequency: int = Field(description="Their readers got enough alerts in the last 24 hours.")


class EstimateShown(BaseModel):
    """How many devices would be reached; not `exact` where a sample was counted."""

    devices: int
    by_provider: dict[str, int]
    by_app: dict[str, int]
    exact: bool
    left_out: LeftOutShown
    spread_seconds: int = Field(description="As in the request.")
    open_share: float = Field(
        description="Opens by device, of the installation's latest alerts; 0.05 without any."
    )
    opens_per_second: float = Field(description="To be expected on the site at the height.")


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


def show_left_out(counts: Mapping[LeftOut, int]) -> LeftOutShown:
    """Return how many devices were left out by which rule."""
    return LeftOutShown(**{reason.value: counts.get(reason, 0) for reason in LeftOut})


def _totals(totals: Totals) -> TotalsShown:
    return TotalsShown.model_validate(totals.as_dict())
