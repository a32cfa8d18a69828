"""The history of alerts and what each did, with the filters of the newsroom's page."""

from datetime import date
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel

from service.api.reports.csv_answer import CsvAnswer, csv_answer
from service.domain.alert import AlertState, Kind, Report
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.auth import AlertWriter
from service.http.dependencies import Cursor, Id, Limit, Line, Listing, Moment, ReportDep, page
from service.store.alerts.alert_history import HistoryFilter, history_page
from service.unit_of_work import UnitOfWork

router = Router(prefix="/api/reports", tags=["reports"])
MOST_ROWS = 2_000
PAGE = 200


def _filter(
    q: Annotated[Line, Query(description="Words of title, text or headline.")] = "",
    topic: Annotated[Line, Query(description="A topic, with all below it.")] = "",
    editor: Annotated[Line, Query(description="Who sent it, by name.")] = "",
    urgency: Urgency | None = None,
    state: AlertState | None = None,
    first: Annotated[date | None, Query(description="From this day on (UTC).")] = None,
    last: Annotated[date | None, Query(description="To the end of this day (UTC).")] = None,
) -> HistoryFilter:
    return HistoryFilter(
        words=q,
        topic=topic,
        editor=editor,
        urgency=urgency,
        state=state,
        first_day=first,
        last_day=last,
    )


FilterDep = Annotated[HistoryFilter, Depends(_filter)]


class AlertRowShown(BaseModel):
    """An alert of the history with what it did; `shown` and `opened` are of `known`."""

    id: Id
    due_at: Moment
    kind: Kind
    state: AlertState
    urgency: Urgency
    title: str | None
    created_by: str
    planned: int
    accepted: int
    shown: int
    opened: int
    known: int


@router.get("/alerts")
def list_history(
    work: ReportDep, _: AlertWriter, query: FilterDep, cursor: Cursor = None, limit: Limit = 50
) -> Listing[AlertRowShown]:
    """List the alerts that match with what they did, the newest first."""
    reports = history_page(work.session, query, cursor, limit)
    return page([_row(report) for report in reports.items], reports.next)


@router.get("/alerts.csv", response_class=CsvAnswer)
def show_history_table(work: ReportDep, _: AlertWriter, query: FilterDep) -> CsvAnswer:
    """Return the newest 2,000 alerts that match as CSV."""
    rows = [_row(report) for report in _all_reports(work, query)]
    columns = list(AlertRowShown.model_fields)
    return csv_answer("alerts", columns, [[getattr(row, name) for name in columns] for row in rows])


def _all_reports(work: UnitOfWork, query: HistoryFilter) -> list[Report]:
    reports: list[Report] = []
    cursor: str | None = None
    while len(reports) < MOST_ROWS:
        part = history_page(work.session, query, cursor, PAGE)
        reports += part.items
        cursor = part.next
        if cursor is None:
            break
    return reports


def _row(report: Report) -> AlertRowShown:
    alert = report.alert
    return AlertRowShown(
        id=alert.id,
        due_at=alert.due_at,
        kind=alert.kind,
        state=alert.state,
        urgency=alert.urgency,
        title=alert.title,
        created_by=alert.created_by,
        planned=report.totals.planned,
        accepted=report.totals.accepted,
        shown=report.shown,
        opened=report.opened,
        known=report.known,
    )
