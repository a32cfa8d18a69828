"""A month of alerts, and the audience over time."""

from datetime import UTC, date, timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from service.actions.month_reports import read_month, report_month
from service.api.reports.alert_reports import REACH, ReachShown, reach_cells
from service.api.reports.csv_answer import Cell, CsvAnswer, csv_answer
from service.domain.results.month import Month
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.auth import AlertWriter
from service.http.dependencies import ReportDep
from service.store.results.audience_days import AudienceDay, audience_since
from service.unit_of_work import UnitOfWork

router = Router(prefix="/api/reports", tags=["reports"])
Days = Annotated[int, Query(ge=1, le=800, description="So many days back.")]


class DayShown(BaseModel):
    """The alerts of a day (UTC) by urgency."""

    day: date
    alerts: dict[Urgency, int]


class TopicShown(BaseModel):
    """What the alerts of a topic did, and who left it in the month."""

    topic: str
    alerts: int
    reach: ReachShown
    unfollows: int
    mutes: int
    departures_per_10000: float | None = Field(
        description="Unfollowed or muted for 10,000 accepted; null with fewer than 1,000 of them."
    )


class HourShown(BaseModel):
    """What the alerts did that were due in an hour of the day (UTC)."""

    hour: int
    alerts: int
    reach: ReachShown


class TypicalReaderShown(BaseModel):
    """How many alerts the middle one of a sample of readers got, and the tenth with most."""

    median: int
    tenth: int
    readers: int


class MonthShown(BaseModel):
    """A month of alerts; corrections, dry runs and tests are left out."""

    month: str
    alerts: int
    whole: bool = Field(description="False: only the newest 2,000 alerts are in it.")
    typical_reader: TypicalReaderShown | None
    days: list[DayShown]
    topics: list[TopicShown]
    hours: list[HourShown]
    by_app: dict[str, ReachShown]


class AudienceDayShown(BaseModel):
    """An app's devices at the end of a day (UTC); `new` is null where the day before lacks."""

    day: date
    app: str
    devices: int
    new: int | None
    removals: int
    gone: int


class AudienceShown(BaseModel):
    """The days that are on record, the oldest first."""

    items: list[AudienceDayShown]


class MonthTable(StrEnum):
    """The tables of a month."""

    DAYS = "days"
    TOPICS = "topics"
    HOURS = "hours"
    APPS = "apps"


@router.get("/months/{month}")
def show_month(work: ReportDep, _: AlertWriter, month: str) -> MonthShown:
    """Report on a month, as 2026-11: alerts by day, topic, hour and app, and a typical reader."""
    report = _month(work, month)
    return MonthShown(
        month=f"{report.first_day:%Y-%m}",
        alerts=report.alerts,
        whole=report.is_whole,
        typical_reader=report.typical_reader
        and TypicalReaderShown.model_validate(report.typical_reader, from_attributes=True),
        days=[DayShown(day=day, alerts=dict(counts)) for day, counts in report.days],
        topics=[
            TopicShown(
                topic=row.topic,
                alerts=row.alerts,
                reach=ReachShown.model_validate(row.reach, from_attributes=True),
                unfollows=int(row.departures.unfollows),
                mutes=int(row.departures.mutes),
                departures_per_10000=row.departures_per_10000,
            )
            for row in report.topics
        ],
        hours=[HourShown.model_validate(row, from_attributes=True) for row in report.hours],
        by_app={
            app: ReachShown.model_validate(reach, from_attributes=True)
            for app, reach in report.by_app.items()
        },
    )


@router.get("/months/{month}/{table}.csv", response_class=CsvAnswer)
def show_month_table(work: ReportDep, _: AlertWriter, month: str, table: MonthTable) -> CsvAnswer:
    """Return a table of a month as CSV."""
    columns, rows = _table(_month(work, month), table)
    return csv_answer(f"{month}-{table}", columns, rows)


@router.get("/audience")
def show_audience(work: ReportDep, _: AlertWriter, days: Days = 90) -> AudienceShown:
    """Report the devices of each app day by day: how many, new, turned off, gone."""
    items = [AudienceDayShown.model_validate(r, from_attributes=True) for r in _days(work, days)]
    return AudienceShown(items=items)


@router.get("/audience.csv", response_class=CsvAnswer)
def show_audience_table(work: ReportDep, _: AlertWriter, days: Days = 90) -> CsvAnswer:
    """Return the same as CSV."""
    columns = list(AudienceDayShown.model_fields)
    rows = [[getattr(row, name) for name in columns] for row in _days(work, days)]
    return csv_answer("audience", columns, rows)


def _month(work: UnitOfWork, month: str) -> Month:
    return report_month(work, read_month(month[:20], work.now.astimezone(UTC).date()))


def _days(work: UnitOfWork, days: int) -> list[AudienceDay]:
    return audience_since(work.session, (work.now - timedelta(days=days)).astimezone(UTC).date())


def _table(month: Month, table: MonthTable) -> tuple[list[str], list[list[Cell]]]:
    rows: list[list[Cell]]
    match table:
        case MonthTable.DAYS:
            rows = [
                [day, *(counts.get(urgency, 0) for urgency in Urgency)]
                for day, counts in month.days
            ]
            return ["day", *(urgency.value for urgency in Urgency)], rows
        case MonthTable.TOPICS:
            rows = [
                [
                    row.topic,
                    row.alerts,
                    *reach_cells(row.reach),
                    row.departures.unfollows,
                    row.departures.mutes,
                    row.departures_per_10000,
                ]
                for row in month.topics
            ]
            heads = ["unfollows", "mutes", "departures_per_10000"]
            return ["topic", "alerts", *REACH, *heads], rows
        case MonthTable.HOURS:
            rows = [[row.hour, row.alerts, *reach_cells(row.reach)] for row in month.hours]
            return ["hour", "alerts", *REACH], rows
        case MonthTable.APPS:
            rows = [[app, *reach_cells(reach)] for app, reach in sorted(month.by_app.items())]
            return ["app", *REACH], rows
