"""What the page of an alert shows of its result: the curve of openings, who left, and by whom."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.domain.alert import Alert
from service.domain.language import language_name
from service.domain.results.alert_result import (
    STEPS,
    WITHIN,
    AlertResult,
    Departures,
    PartResult,
    opened_within,
    opening_curve,
    shares_of,
)
from service.domain.topic import STORY_PREFIX
from service.store.alerts.similar_alerts import similar_alerts
from service.store.results.alert_results import find_results, result_of
from service.unit_of_work import UnitOfWork
from service.web import lookups
from service.web.charts import Chart, Plot, Series, draw_lines
from service.web.formatting import percent, provider_name, span

CURVE_MINUTES = 60
DEPARTURES = (
    ("Unfollowed one of its topics", "unfollows"),
    ("Muted one of its topics", "mutes"),
    ("Turned alerts off on a device that had it", "removals"),
    ("Device gone since", "gone"),
)


def describe_result(work: UnitOfWork, alert: Alert) -> dict[str, Any]:
    """Return what the template `alert_result.html` shows; nothing where nothing has left."""
    result = None if alert.dry_run else result_of(work.session, alert.id)
    if result is None or not result.total.planned:
        return {"result": None}
    return {
        "result": result,
        "curve": draw_curve(result, alert.due_at, work.now),
        "opened_within": [(n, opened_within(result.openings, n)) for n in WITHIN],
        "departures": _list_departures(result),
        "by_app": _sorted({provider_name(name): r for name, r in result.by_app.items()}),
        "by_language": _sorted(
            {language_name(tag) if tag else "Unknown": r for tag, r in result.by_language.items()}
        ),
        "by_topic": _sorted(_name_topics(work, result.by_topic)),
        **_compare(work, alert, result),
    }


def _compare(work: UnitOfWork, alert: Alert, result: AlertResult) -> dict[str, Any]:
    """Return this alert beside earlier ones with its topics and its hour of the day."""
    ids = similar_alerts(work.session, alert.id)
    similar = list(find_results(work.session, ids).values())
    return {"similar": len(similar), "own": shares_of([result]), "others": shares_of(similar)}


def draw_curve(result: AlertResult, due: datetime, now: datetime) -> Chart:
    """Draw how many had opened it, minute by minute, in the first hour or so far."""
    age = int((now - due).total_seconds() // 60) + 1
    minutes = max(1, min(CURVE_MINUTES, age))
    curve = opening_curve(result.openings, minutes)
    values = [*curve, *[None] * (CURVE_MINUTES - minutes)]
    devices = result.total.known
    rows = [
        (span(60 * step), (opened, percent(opened, devices)))
        for step in STEPS
        if step <= max(age, 1)
        for opened in [opened_within(result.openings, step)]
    ]
    plot = Plot(
        key="openings",
        title="Opened in the first hour",
        unit="devices, by minutes after it was due",
        x_name="After",
        labels=[str(n) for n in range(CURVE_MINUTES + 1)],
        series=[Series("Opened", values)],
        ticks=[f"{n} min" if n else "0" for n in range(0, CURVE_MINUTES + 1, 10)],
        rows=rows,
        columns=["Opened", "Share"],
    )
    return draw_lines(plot, area=True)


def _list_departures(result: AlertResult) -> list[tuple[str, float, float | None]]:
    after, usual = result.departures.as_dict(), (result.usual or Departures()).as_dict()
    known = result.usual is not None
    return [(label, after[key], usual[key] if known else None) for label, key in DEPARTURES]


def _name_topics(work: UnitOfWork, by_topic: Mapping[str, PartResult]) -> dict[str, PartResult]:
    labels = lookups.topic_labels(work.session, by_topic)
    return {
        "This story" if path.startswith(STORY_PREFIX) else labels.get(path, path): reach
        for path, reach in by_topic.items()
    }


def _sorted(parts: Mapping[str, PartResult]) -> list[tuple[str, PartResult]]:
    return sorted(parts.items(), key=lambda pair: (-pair[1].planned, pair[0]))
