"""The report of a month."""

from datetime import UTC, date, datetime, time

from service.domain.errors import Invalid
from service.domain.results import month as month_of
from service.domain.results.month import Month
from service.store.results import month_alerts
from service.unit_of_work import UnitOfWork

EARLIEST = date(2000, 1, 1)


def read_month(text: str, today: date) -> date:
    """Return the first day of a month written as 2026-11; empty is this one. Raises `Invalid`."""
    if not text:
        return today.replace(day=1)
    try:
        first = datetime.strptime(f"{text}-01", "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Invalid("month", "Write the month as in 2026-11.") from None
    if not EARLIEST <= first <= today:
        raise Invalid("month", "There is nothing of this month.")
    return first


def report_month(work: UnitOfWork, first_day: date) -> Month:
    """Report on the month that begins with this day; days and hours are in UTC."""
    first, end = month_of.month_bounds(first_day)
    begin, until = (datetime.combine(day, time(), UTC) for day in (first, end))
    alerts = month_alerts.alerts_between(work.session, begin, until)
    departures = month_alerts.departures_by_topic(work.session, begin, until)
    step = max(1, -(-len(alerts) // month_alerts.SAMPLE_ALERTS))
    sample = [alert.alert_id for alert in alerts[::step]]
    counts = month_alerts.alerts_per_reader(work.session, sample) if sample else []
    return Month(
        first_day=first,
        days=month_of.days_of(first, end, alerts),
        topics=month_of.topics_of(alerts, departures),
        hours=month_of.hours_of(alerts),
        by_app=month_of.apps_of(alerts),
        typical_reader=month_of.typical_reader(counts, len(alerts) / max(len(sample), 1)),
        alerts=len(alerts),
        is_whole=len(alerts) < month_alerts.MOST_ALERTS,
    )
