"""A month of alerts: how many a day, which were opened, and which topics wear readers out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeVar

from service.domain.results.alert_result import Departures, PartResult
from service.domain.subscription import Urgency

PER = 10_000
"""Departures are compared for so many accepted pushes."""
ENOUGH_ACCEPTED = 1_000
"""With fewer accepted pushes a topic is not said to wear readers out."""
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthAlert:
    """An alert of the month, and how far it came."""

    alert_id: int
    due: datetime
    urgency: Urgency
    topics: tuple[str, ...]
    by_app: Mapping[str, PartResult] = field(default_factory=dict)

    @property
    def reach(self) -> PartResult:
        """Over all apps."""
        return sum(self.by_app.values(), PartResult())


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicMonth:
    """What the alerts of one topic did in a month, and who left the topic meanwhile."""

    topic: str
    alerts: int
    reach: PartResult
    departures: Departures

    @property
    def departures_per_10000(self) -> float | None:
        """How many unfollowed or muted it for 10,000 accepted pushes; None with too few."""
        if self.reach.accepted < ENOUGH_ACCEPTED:
            return None
        number = self.departures.unfollows + self.departures.mutes
        return round(PER * number / self.reach.accepted, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourMonth:
    """What the alerts did that left in one hour of the day (UTC)."""

    hour: int
    alerts: int
    reach: PartResult


@dataclass(frozen=True, slots=True)
class TypicalReader:
    """How many alerts the readers of a sample got: the middle one, and the tenth with most."""

    median: int
    tenth: int
    readers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month: alerts by day and urgency, by topic, by hour and by app; None where nobody got any.

    `is_whole` is False where it had more alerts than are read.
    """

    first_day: date
    days: Sequence[tuple[date, Mapping[Urgency, int]]]
    topics: Sequence[TopicMonth]
    hours: Sequence[HourMonth]
    by_app: Mapping[str, PartResult]
    typical_reader: TypicalReader | None
    alerts: int
    is_whole: bool

    @property
    def reach(self) -> PartResult:
        """Over all its alerts."""
        return sum(self.by_app.values(), PartResult())


def month_bounds(day: date) -> tuple[date, date]:
    """Return the first day of its month, and of the next one."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def days_of(
    first: date, end: date, alerts: Iterable[MonthAlert]
) -> list[tuple[date, Mapping[Urgency, int]]]:
    """Count the alerts of each day by urgency; days without one are there too."""
    counts: dict[date, dict[Urgency, int]] = {}
    for alert in alerts:
        by_urgency = counts.setdefault(alert.due.date(), {})
        by_urgency[alert.urgency] = by_urgency.get(alert.urgency, 0) + 1
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    return [(day, counts.get(day, {})) for day in days]


def topics_of(
    alerts: Iterable[MonthAlert], departures: Mapping[str, Departures]
) -> list[TopicMonth]:
    """Add the alerts up by topic, those that wear readers out most first."""
    groups = _group((topic, alert) for alert in alerts for topic in alert.topics)
    rows = [
        TopicMonth(
            topic=topic,
            alerts=len(items),
            reach=_total(items),
            departures=departures.get(topic, Departures()),
        )
        for topic, items in groups.items()
    ]
    return sorted(rows, key=_weight)


def hours_of(alerts: Iterable[MonthAlert]) -> list[HourMonth]:
    """Add the alerts up by the hour in which they were due."""
    groups = _group((alert.due.hour, alert) for alert in alerts)
    return [
        HourMonth(hour=hour, alerts=len(items), reach=_total(items))
        for hour, items in sorted(groups.items())
    ]


def apps_of(alerts: Iterable[MonthAlert]) -> dict[str, PartResult]:
    """Add the alerts up by app."""
    sums: dict[str, PartResult] = {}
    for alert in alerts:
        for app, reach in alert.by_app.items():
            sums[app] = sums.get(app, PartResult()) + reach
    return sums


def typical_reader(counts: Sequence[int], scale: float) -> TypicalReader | None:
    """Return what the readers of a sample got, whose alerts are one in `scale` of all."""
    if not counts:
        return None
    in_order = sorted(counts)
    middle, tenth = in_order[len(in_order) // 2], in_order[len(in_order) * 9 // 10]
    return TypicalReader(round(scale * middle), round(scale * tenth), len(in_order))


def _group(pairs: Iterable[tuple[Key, MonthAlert]]) -> dict[Key, list[MonthAlert]]:
    groups: dict[Key, list[MonthAlert]] = {}
    for key, alert in pairs:
        groups.setdefault(key, []).append(alert)
    return groups


def _total(alerts: Iterable[MonthAlert]) -> PartResult:
    return sum((alert.reach for alert in alerts), PartResult())


def _weight(row: TopicMonth) -> tuple[float, int, str]:
    share = row.departures_per_10000
    return (-1.0 if share is None else share) * -1, -row.alerts, row.topic
