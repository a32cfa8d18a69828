"""The month's page and the audience's page: charts with their tables."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Annotated

from fastapi import Query, Request, Response

from service.actions import month_reports
from service.domain.errors import Invalid
from service.domain.results.month import Month, TopicMonth, month_bounds
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.dependencies import ReportDep
from service.store.results.audience_days import AudienceDay, audience_since
from service.web import lookups
from service.web.charts import Chart, Plot, Series, draw_bars, draw_lines
from service.web.formatting import URGENCIES, percent, provider_name
from service.web.rendering import render
from service.web.visitors import Editor

router = Router(prefix="/desk/reports", in_document=False)
AUDIENCE_DAYS = (30, 90, 365)
MOST_TOPICS = 50
MOST_BARS = 5


@router.get("/month")
def show_month(
    request: Request, work: ReportDep, _: Editor, month: Annotated[str, Query(max_length=7)] = ""
) -> Response:
    """Show the alerts of a month, and what they did."""
    today = work.now.astimezone(UTC).date()
    fault = ""
    try:
        first = month_reports.read_month(month, today)
    except Invalid as refusal:
        fault, first = refusal.detail, today.replace(day=1)
    report = month_reports.report_month(work, first)
    topics = report.topics[:MOST_TOPICS]
    labels = lookups.topic_labels(work.session, [row.topic for row in topics])
    next_month = month_bounds(first)[1]
    return render(
        request,
        "month.html",
        fault=fault,
        report=report,
        name=f"{first:%Y-%m}",
        topics=topics,
        labels=labels,
        earlier=f"{first - timedelta(days=1):%Y-%m}",
        later=f"{next_month:%Y-%m}" if next_month <= today else "",
        day_chart=_draw_days(report, today),
        topic_chart=_draw_topics(labels, topics),
        hour_chart=_draw_hours(report),
        by_app=sorted(report.by_app.items()),
    )


@router.get("/audience")
def show_audience(
    request: Request, work: ReportDep, _: Editor, days: Annotated[int, Query(ge=1, le=800)] = 90
) -> Response:
    """Show how many devices there are, day by day, and how many came and went."""
    begin = (work.now - timedelta(days=days)).astimezone(UTC).date()
    rows = audience_since(work.session, begin)
    last = rows[-1].day if rows else None
    return render(
        request,
        "audience.html",
        days=days,
        choices=AUDIENCE_DAYS,
        newest=[row for row in rows if row.day == last],
        last=last,
        charts_of_audience=[_draw_devices(rows), _draw_changes(rows)],
    )


def _draw_days(report: Month, today: date) -> Chart:
    days = [pair for pair in report.days if pair[0] <= today]
    series = [
        Series(URGENCIES[urgency][0], [counts.get(urgency, 0) for _, counts in days])
        for urgency in Urgency
    ]
    return draw_bars(
        Plot(
            key="days",
            title="Alerts a day",
            unit="alerts",
            x_name="Day (UTC)",
            labels=[str(day.day) for day, _ in days],
            series=series,
        )
    )


def _draw_topics(labels: dict[str, str], topics: Sequence[TopicMonth]) -> Chart:
    shown = sorted(topics, key=lambda row: -row.reach.opened)[:MOST_BARS]
    return draw_bars(
        Plot(
            key="topics",
            title="Opened, by topic",
            unit="% of those who share results; the five topics that were opened most",
            x_name="Topic",
            labels=[labels.get(row.topic, row.topic) for row in shown],
            series=[
                Series(
                    "Opened",
                    [round(100 * r.reach.opened / (r.reach.known or 1), 1) for r in shown],
                )
            ],
            ticks=[labels.get(row.topic, row.topic)[:8] for row in shown],
        )
    )


def _draw_hours(report: Month) -> Chart:
    by_hour = {row.hour: row for row in report.hours}
    rows = [
        (
            f"{hour:02}:00",
            (
                row.alerts,
                row.reach.planned,
                row.reach.opened,
                percent(row.reach.opened, row.reach.known),
            ),
        )
        for hour, row in sorted(by_hour.items())
    ]
    shares = [
        round(100 * by_hour[h].reach.opened / (by_hour[h].reach.known or 1), 1)
        if h in by_hour
        else None
        for h in range(24)
    ]
    return draw_bars(
        Plot(
            key="hours",
            title="Opened, by the hour of sending",
            unit="% of those who share results; hours in UTC",
            x_name="Hour (UTC)",
            labels=[f"{hour:02}" for hour in range(24)],
            series=[Series("Opened", shares)],
            rows=rows,
            columns=["Alerts", "Sent", "Opened", "Share"],
        )
    )


def _draw_devices(rows: Sequence[AudienceDay]) -> Chart:
    days = sorted({row.day for row in rows})
    by_app: dict[str, dict[date, int]] = {}
    for row in rows:
        by_app.setdefault(row.app, {})[row.day] = row.devices
    return draw_lines(
        Plot(
            key="devices",
            title="Devices by platform",
            unit="devices that can be reached, at the end of each day (UTC)",
            x_name="Day",
            labels=[_write_day(day) for day in days],
            series=[
                Series(provider_name(app), [counts.get(day) for day in days])
                for app, counts in sorted(by_app.items())
            ],
        ),
        area=len(by_app) == 1,
    )


def _draw_changes(rows: Sequence[AudienceDay]) -> Chart:
    days = sorted({row.day for row in rows})
    sums = {day: [row for row in rows if row.day == day] for day in days}
    new = [_sum_of_known([row.new for row in sums[day]]) for day in days]
    removals = [sum(row.removals for row in sums[day]) for day in days]
    gone = [sum(row.gone for row in sums[day]) for day in days]
    return draw_lines(
        Plot(
            key="changes",
            title="New and lost devices",
            unit="devices a day",
            x_name="Day",
            labels=[_write_day(day) for day in days],
            series=[Series("New", new), Series("Turned off", removals), Series("Gone", gone)],
        )
    )


def _sum_of_known(counts: Sequence[int | None]) -> int | None:
    """Return the sum of those that are known; None, a gap in the chart, where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _write_day(day: date) -> str:
    return f"{day.day} {day:%b}"
