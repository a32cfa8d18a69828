"""The alerts of a month with how far they came, who left which topic, and what readers got."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import State
from service.domain.results.alert_result import Departures, reach_of
from service.domain.results.month import MonthAlert
from service.domain.subscription import Urgency
from service.store.alerts import alert_totals
from service.store.readers import receipts
from service.store.results.alert_results import find_results
from service.store.sql_fragments import DELIVERIES, due_at, state_in

MOST_ALERTS = 2_000
"""Of a month so many are read, the newest."""
SAMPLE_READERS = 300
SAMPLE_ALERTS = 60

_ALERTS = text(f"""
    SELECT a.id, {due_at("a")} AS due, a.urgency,
        CASE WHEN a.everyone THEN '{{}}' ELSE coalesce(a.topics, s.topics) END AS topics
    FROM alert a JOIN story s ON s.id = a.story_id
    WHERE {due_at("a")} >= :begin AND {due_at("a")} < :end AND a.started_at IS NOT NULL
        AND NOT a.dry_run AND a.kind IN ('first', 'update') AND a.source_alert_id IS NULL
    ORDER BY a.created_at DESC LIMIT :most""")
_DEPARTURES = text("""
    SELECT topic.path, sum(unfollows) AS unfollows, sum(mutes) AS mutes
    FROM departure JOIN topic ON topic.id = topic_id
    WHERE since >= :begin AND since < :end GROUP BY topic.path""")
_COUNTS = text(f"""
    WITH part AS (SELECT max(id) + 1 AS hi
        FROM (SELECT id FROM reader ORDER BY id LIMIT :readers) AS first_ones),
    device_in AS MATERIALIZED (SELECT device.id, device.reader_id FROM device, part
        WHERE device.reader_id < part.hi AND device.gone_at IS NULL),
    alert_of AS (
        SELECT DISTINCT device_in.reader_id, b.alert_id
        FROM part JOIN shard ON shard.lo < part.hi AND shard.alert_id = ANY(:ids)
        JOIN ({DELIVERIES}) ON b.alert_id = shard.alert_id AND b.shard_n = shard.n
        JOIN device_in ON device_in.id = d.id
        WHERE {state_in("s.byte", [State.ACCEPTED])})
    SELECT count(alert_of.alert_id) AS alerts
    FROM (SELECT DISTINCT reader_id FROM device_in) AS r LEFT JOIN alert_of USING (reader_id)
    GROUP BY r.reader_id""")


def alerts_between(session: Session, begin: datetime, end: datetime) -> list[MonthAlert]:
    """Return the alerts for readers that were due then and have begun, the newest 2,000.

    Corrections are left out: they replace what is on the screen.
    """
    values = {"begin": begin, "end": end, "most": MOST_ALERTS}
    rows = session.execute(_ALERTS, values).all()
    results = find_results(session, [row.id for row in rows])
    recent = [row.id for row in rows if row.id not in results]
    totals = alert_totals.totals(session, recent)
    marks = receipts.counts_by_app(session, recent)
    by_app = {alert_id: result.by_app for alert_id, result in results.items()} | {
        alert_id: {
            app: reach_of(totals[alert_id][app], *marks.get((alert_id, app), ()))
            for app in totals.get(alert_id, {})
        }
        for alert_id in recent
    }
    return [
        MonthAlert(
            alert_id=row.id,
            due=row.due,
            urgency=Urgency.of_rank(row.urgency),
            topics=tuple(row.topics),
            by_app=by_app[row.id],
        )
        for row in rows
    ]


def departures_by_topic(session: Session, begin: datetime, end: datetime) -> dict[str, Departures]:
    """Return how many unfollowed or muted each topic then, by its path."""
    rows = session.execute(_DEPARTURES, {"begin": begin, "end": end})
    return {row.path: Departures(int(row.unfollows), int(row.mutes)) for row in rows}


def alerts_per_reader(session: Session, alert_ids: Sequence[int]) -> list[int]:
    """Return how many of these alerts each reader of a sample got on a device.

    Ids are random, so the 300 readers with the lowest are a fair sample.
    """
    values = {"ids": list(alert_ids), "readers": SAMPLE_READERS}
    return [int(n) for n in session.execute(_COUNTS, values).scalars()]
