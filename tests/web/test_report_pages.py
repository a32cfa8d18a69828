"""The history of alerts, a month, the audience: found, added up, and linked to their tables."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.store.alerts import alert_history
from service.store.alerts.alert_history import HistoryFilter
from service.store.alerts.similar_alerts import similar_alerts
from service.store.readers import receipts
from service.store.readers.receipts import Mark
from service.store.results import alert_results, month_alerts
from service.store.session import transaction
from tests import builders as a

NOW = datetime.now(UTC)
TODAY = (NOW - timedelta(minutes=1)).date()
QUERIES = {
    "q=rain": {"rain"},
    "q=dry+RIV": {"river"},
    "topic=world": {"rain", "river"},
    "topic=wor": set(),
    "editor=Zoe": {"river"},
    "urgency=breaking": {"river"},
    "state=stopped": {"rain"},
    f"first={TODAY}": {"everyone"},
    f"last={TODAY - timedelta(days=1)}": {"rain", "river"},
    "q=rain&urgency=breaking": set(),
}


@pytest.fixture
def alerts(engine):
    """Three alerts of three days, the last one to everyone."""
    with transaction(engine) as session:
        a.a_topic(session, "world/rivers", label="Rivers")
        days = {"rain": 3, "river": 2, "everyone": 0}
        values = {
            "rain": {"title": "Rain in Rome", "state": "stopped", "topics": ["world"]},
            "river": {"title": "A river", "urgency": 2, "created_by": "Zoe"},
            "everyone": {"title": "To all", "everyone": True},
        }
        ids = {}
        for name, days_ago in days.items():
            story = a.a_story(session, topics=["world/rivers"], headline=f"Dry {name}")
            created_at = NOW - timedelta(days=days_ago, minutes=1)
            moments = {"created_at": created_at, "started_at": created_at}
            given = {"state": "finished", "settled": True} | moments | values[name]
            alert = a.an_alert(session, story, **given)
            a.a_batch(session, alert, [State.ACCEPTED] * 8 + [State.BURIED] * 2)
            receipts.add_mark(session, alert.id, 0, 0, 3, Mark.OPENED)
            ids[name] = alert.id
        return ids


def listed(page, ids):
    return {name for name, alert_id in ids.items() if f'href="/desk/alerts/{alert_id}"' in page}


def test_the_history_is_searched_and_filtered(editor, alerts):
    for query, names in QUERIES.items():
        page = editor.get(f"/desk/alerts?{query}").text
        assert listed(page, alerts) == names, query
    assert listed(editor.get("/desk/alerts").text, alerts) == set(alerts)
    assert "There is no state" in editor.get("/desk/alerts?state=asleep").text
    assert "Write a day" in editor.get("/desk/alerts?first=tomorrow").text


def test_the_table_of_the_history_has_the_same_filters(editor, alerts):
    rows = editor.get("/api/reports/alerts.csv?topic=world").text.splitlines()
    assert len(rows) == 3
    answer = editor.get("/api/reports/alerts?urgency=breaking").json()
    (item,) = answer["items"]
    assert (item["planned"], item["accepted"], item["opened"]) == (10, 8, 1)


def test_an_alerts_page_says_what_it_did(editor, alerts):
    page = editor.get(f"/desk/alerts/{alerts['everyone']}").text
    for words in ("What it did", "Opened within 10 min", "Who left in the 24 hours", "10 %"):
        assert words in page
    assert 'data-chart="openings"' in page
    links = re.findall(r'href="(/api/reports/alerts/\d+/\w+\.csv)"', page)
    assert len(links) == 5
    assert {editor.get(link).status_code for link in links} == {200}


def test_an_alert_is_set_beside_earlier_ones_of_its_topics_and_hour(engine, editor, alerts):
    with transaction(engine) as session:
        assert alert_results.keep_results(session) == 2
        assert similar_alerts(session, alerts["everyone"]) == [alerts["river"]]
        session.execute(text("UPDATE alert SET created_at = created_at - interval '2 hours' "
                             "WHERE created_by = 'Zoe'"))  # fmt: skip
        assert similar_alerts(session, alerts["everyone"]) == []
    page = editor.get(f"/desk/alerts/{alerts['river']}").text
    assert "Beside alerts like this one" in page


def test_a_month_adds_its_alerts_up(engine, editor, alerts):
    month = f"{TODAY - timedelta(days=2):%Y-%m}"
    page = editor.get(f"/desk/reports/month?month={month}").text
    assert "Rivers" in page
    for key in ("days", "hours", "topics"):
        assert f'data-chart="{key}"' in page
    with transaction(engine) as session:
        rows = month_alerts.alerts_between(session, NOW - timedelta(days=9), NOW)
    assert {(row.reach.planned, row.reach.opened) for row in rows} == {(10, 1)}
    assert len(rows) == 3
    answer = editor.get(f"/api/reports/months/{month}").json()
    assert sum(sum(day["alerts"].values()) for day in answer["days"]) == answer["alerts"]
    for table in ("days", "topics", "hours", "apps"):
        assert editor.get(f"/api/reports/months/{month}/{table}.csv").status_code == 200
    assert "There is nothing of this month" in editor.get("/desk/reports/month?month=2999-01").text


def test_a_typical_reader_is_counted_of_whole_readers(engine):
    with transaction(engine) as session:
        readers = [a.a_reader(session) for _ in range(3)]
        devices = [a.a_device(session, one).id for one in readers]
        ids = []
        for reached in (devices, devices[:1], devices[:1]):
            alert = a.an_alert(session, a.a_story(session))
            a.a_shard(session, alert)
            a.a_batch(session, alert, [State.ACCEPTED] * len(reached), device_ids=reached)
            ids.append(alert.id)
        assert sorted(month_alerts.alerts_per_reader(session, ids)) == [1, 1, 3]


def test_the_audience_is_drawn_day_by_day(engine, editor):
    assert "Nothing is on record yet" in editor.get("/desk/reports/audience").text
    with transaction(engine) as session:
        for days, devices in ((2, 10), (1, 14)):
            session.execute(
                text("INSERT INTO audience_day VALUES (:day, 'fcm', :n, 1, 0)"),
                {"day": NOW.date() - timedelta(days=days), "n": devices},
            )
    page = editor.get("/desk/reports/audience").text
    assert "Android" in page
    assert "at most 14" in page
    rows = editor.get("/api/reports/audience.csv").text.splitlines()
    assert rows[-1].endswith("fcm,14,5,1,0")


def test_a_filter_without_a_wish_lists_everything(engine, alerts):
    with transaction(engine) as session:
        page = alert_history.history_page(session, HistoryFilter(), None, 2)
        rest = alert_history.history_page(session, HistoryFilter(), page.next, 2)
    assert [len(page.items), len(rest.items)] == [2, 1]
