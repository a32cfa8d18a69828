"""What one alert did: opened when and by whom, and who left after it."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, Field

from service.api.reports.csv_answer import Cell, CsvAnswer, csv_answer
from service.domain.errors import require
from service.domain.results.alert_result import (
    WITHIN,
    AlertResult,
    Departures,
    PartResult,
    opened_within,
)
from service.http.api_document import Router
from service.http.auth import AlertWriter
from service.http.dependencies import Id, ReportDep
from service.store.alerts import alerts
from service.store.operations import apps
from service.store.results.alert_results import result_of
from service.unit_of_work import UnitOfWork

router = Router(prefix="/api/reports", tags=["reports"])
REACH = ("planned", "accepted", "shown", "opened", "known")


class ReachShown(BaseModel):
    """Devices that the alert was sent to, and of them: accepted, shown, opened.

    `shown` and `opened` are of `known`: the devices of readers who share results.
    """

    planned: int
    accepted: int
    shown: int
    opened: int
    known: int


class DeparturesShown(BaseModel):
    """Readers who unfollowed or muted a topic of it; its devices turned off, or gone."""

    unfollows: float
    mutes: float
    removals: float
    gone: float


class OpeningShown(BaseModel):
    """How many opened it in a minute after it was due; from the second hour on in an hour."""

    minute: int
    opened: int


class AlertResultShown(BaseModel):
    """What an alert did in its first 24 hours, or so far; openings go on."""

    alert_id: Id
    final: bool = Field(description="Whether the 24 hours are over.")
    sample: bool = Field(description="Whether languages and topics are estimated.")
    total: ReachShown
    opened_within: dict[str, int] = Field(description="By minutes: 1, 10, 60.")
    openings: list[OpeningShown]
    by_app: dict[str, ReachShown]
    by_provider: dict[str, ReachShown]
    by_language: dict[str, ReachShown] = Field(description="Empty tag: not known.")
    by_topic: dict[str, ReachShown] = Field(
        description="By the topics of it that the readers follow; one may follow several."
    )
    departures: DeparturesShown
    usual: DeparturesShown | None = Field(
        description="A day's departures on average in the four weeks before; null: no record."
    )


class AlertTable(StrEnum):
    """The tables of an alert's result."""

    SUMMARY = "summary"
    OPENINGS = "openings"
    APPS = "apps"
    LANGUAGES = "languages"
    TOPICS = "topics"
    DEPARTURES = "departures"


@router.get("/alerts/{alert_id}")
def show_result(work: ReportDep, _: AlertWriter, alert_id: Id) -> AlertResultShown:
    """Report what an alert did: opened when and by whom, and who left after it."""
    result = _result(work, alert_id)
    by_provider = fold_reach(result.by_app, apps.providers(work.session))
    return AlertResultShown(
        alert_id=alert_id,
        final=result.is_final,
        sample=result.is_sample,
        total=_reach(result.total),
        opened_within={str(n): opened_within(result.openings, n) for n in WITHIN},
        openings=[OpeningShown(minute=m, opened=n) for m, n in sorted(result.openings.items())],
        by_app=_reaches(result.by_app),
        by_provider=_reaches(by_provider),
        by_language=_reaches(result.by_language),
        by_topic=_reaches(result.by_topic),
        departures=_departures(result.departures),
        usual=None if result.usual is None else _departures(result.usual),
    )


@router.get("/alerts/{alert_id}/{table}.csv", response_class=CsvAnswer)
def show_table(work: ReportDep, _: AlertWriter, alert_id: Id, table: AlertTable) -> CsvAnswer:
    """Return a table of an alert's result as CSV."""
    columns, rows = _table(_result(work, alert_id), table)
    return csv_answer(f"alert-{alert_id}-{table}", columns, rows)


def _result(work: UnitOfWork, alert_id: int) -> AlertResult:
    require(alerts.get(work.session, alert_id), "alert")
    return result_of(work.session, alert_id)


def _table(result: AlertResult, table: AlertTable) -> tuple[list[str], list[list[Cell]]]:
    match table:
        case AlertTable.SUMMARY:
            within = [opened_within(result.openings, n) for n in WITHIN]
            names = [f"opened_within_{n}_min" for n in WITHIN]
            return [*REACH, *names], [[*reach_cells(result.total), *within]]
        case AlertTable.OPENINGS:
            pairs = sorted(result.openings.items())
            return ["minute", "opened"], [[minute, opened] for minute, opened in pairs]
        case AlertTable.APPS:
            return _reach_table("app", result.by_app)
        case AlertTable.LANGUAGES:
            return _reach_table("language", result.by_language)
        case AlertTable.TOPICS:
            return _reach_table("topic", result.by_topic)
        case AlertTable.DEPARTURES:
            usual = {} if result.usual is None else result.usual.as_dict()
            rows: list[list[Cell]] = [
                [kind, number, usual.get(kind)]
                for kind, number in result.departures.as_dict().items()
            ]
            return ["departure", "after_it", "usual_in_24_hours"], rows


def _reach_table(head: str, parts: Mapping[str, PartResult]) -> tuple[list[str], list[list[Cell]]]:
    rows: list[list[Cell]] = [[name, *reach_cells(reach)] for name, reach in sorted(parts.items())]
    return [head, *REACH], rows


def reach_cells(reach: PartResult) -> list[Cell]:
    """Return the cells of the columns `REACH`."""
    return [reach.planned, reach.accepted, reach.shown, reach.opened, reach.known]


def fold_reach(
    by_app: Mapping[str, PartResult], providers: Mapping[str, str]
) -> dict[str, PartResult]:
    """Add up by provider what is known by app."""
    sums: dict[str, PartResult] = {}
    for app, reach in by_app.items():
        provider = providers.get(app, app)
        sums[provider] = sums.get(provider, PartResult()) + reach
    return sums


def _reach(reach: PartResult) -> ReachShown:
    return ReachShown.model_validate(reach, from_attributes=True)


def _reaches(parts: Mapping[str, PartResult]) -> dict[str, ReachShown]:
    return {name: _reach(reach) for name, reach in parts.items()}


def _departures(departures: Departures) -> DeparturesShown:
    return DeparturesShown.model_validate(departures, from_attributes=True)
