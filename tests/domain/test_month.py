"""A month's sums: every alert counts once a day, once for each topic, once in its hour."""

from datetime import UTC, date, datetime

from service.domain.results.alert_result import Departures, PartResult
from service.domain.results.month import (
    MonthAlert,
    apps_of,
    days_of,
    hours_of,
    month_bounds,
    topics_of,
    typical_reader,
)
from service.domain.subscription import Urgency


def an_alert(day, hour=9, topics=("sport",), urgency=Urgency.NORMAL, reach=(2000, 1000, 0, 50)):
    return MonthAlert(
        alert_id=day,
        due=datetime(2026, 2, day, hour, tzinfo=UTC),
        urgency=urgency,
        topics=topics,
        by_app={"apns": PartResult(*reach)},
    )


def test_a_month_ends_where_the_next_one_begins():
    assert month_bounds(date(2026, 12, 31)) == (date(2026, 12, 1), date(2027, 1, 1))
    assert month_bounds(date(2028, 2, 29)) == (date(2028, 2, 1), date(2028, 3, 1))


def test_every_day_of_the_month_is_there_with_its_alerts_by_urgency():
    alerts = [an_alert(3), an_alert(3), an_alert(4, urgency=Urgency.BREAKING)]
    days = days_of(*month_bounds(date(2026, 2, 1)), alerts)
    assert len(days) == 28
    assert days[2] == (date(2026, 2, 3), {Urgency.NORMAL: 2})
    assert days[3][1] == {Urgency.BREAKING: 1}
    assert days[0][1] == {}


def test_topics_that_wear_readers_out_come_first_and_small_ones_are_not_judged():
    alerts = [
        an_alert(1, topics=("sport", "world")),
        an_alert(2, topics=("world",)),
        an_alert(3, topics=("chess",), reach=(10, 9, 0, 9)),
    ]
    departures = {"sport": Departures(4, 1), "world": Departures(4, 2), "chess": Departures(9, 0)}
    rows = topics_of(alerts, departures)
    assert [(row.topic, row.departures_per_10000) for row in rows] == [
        ("sport", 50.0), ("world", 30.0), ("chess", None),
    ]  # fmt: skip
    assert rows[1].reach == PartResult(4000, 2000, 0, 100)
    assert rows[1].alerts == 2


def test_hours_and_apps_add_up():
    alerts = [an_alert(1, hour=7), an_alert(2, hour=7), an_alert(2, hour=22)]
    assert [(row.hour, row.alerts) for row in hours_of(alerts)] == [(7, 2), (22, 1)]
    assert apps_of(alerts) == {"apns": PartResult(6000, 3000, 0, 150)}


def test_a_typical_reader_is_the_middle_one():
    assert typical_reader([], 1.0) is None
    reader = typical_reader([0, 1, 2, 3, 4, 5, 6, 7, 8, 50], 2.0)
    assert (reader.median, reader.tenth, reader.readers) == (10, 100, 10)
