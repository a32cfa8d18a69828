"""What an alert did: counted when it is asked for, and kept once when the day after it is over.

What needs each device - its language, its topics, whether it is still there - is counted of whole
shards that have about 20,000 devices: reader ids are random, so shards are fair samples.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import State
from service.domain.device import EVICTED, MOVED, REMOVED, REPLACED
from service.domain.results.alert_result import DAY, USUAL, AlertResult, Departures, PartResult
from service.store.results import audience_days
from service.store.results.departures import departures_between, first_departure
from service.store.sql_fragments import (
    DELIVERIES,
    count_of,
    due_at,
    known_of,
    state_in,
    sums_of_counts,
)

SAMPLE_DEVICES = 20_000
RESULTS_A_PASS = 5
KEEP_OPEN_DAYS = 400
"""An alert that was due earlier gets no result: what it needs is forgotten."""

_HALF = "length(r.marks) / 2"
_SHOWN = f"coalesce(sum(bit_count(substring(r.marks FROM 1 FOR {_HALF}))), 0)"
_OPENED = f"coalesce(sum(bit_count(substring(r.marks FROM {_HALF} + 1))), 0)"
_BY_APP = text(f"""
    SELECT b.provider AS part, {" + ".join(sums_of_counts("b").split(", "))} AS planned,
        sum({count_of(State.ACCEPTED, "b")}) AS accepted, {_SHOWN} AS shown, {_OPENED} AS opened,
        {known_of("b")} AS known
    FROM batch b LEFT JOIN receipt r USING (alert_id, shard_n, n)
    WHERE b.alert_id = :a GROUP BY b.provider""")
_OPENINGS = text("""
    SELECT openings[i] AS minute, sum(openings[i + 1]) AS opened FROM receipt
    CROSS JOIN LATERAL generate_series(1, cardinality(openings), 2) AS i
    WHERE alert_id = :a GROUP BY 1 ORDER BY 1""")
_SAMPLE = f"""
    WITH sample AS MATERIALIZED (
        SELECT d.id, b.results, {state_in("s.byte", [State.ACCEPTED])} AS accepted,
            coalesce(get_bit(r.marks, (d.o - 1)::int), 0) AS shown,
            coalesce(get_bit(r.marks, (length(r.marks) * 4 + d.o - 1)::int), 0) AS opened
        FROM {DELIVERIES} LEFT JOIN receipt r USING (alert_id, shard_n, n)
        WHERE b.alert_id = :a AND b.shard_n % :step = 0)"""
_REACH = """count(*) AS planned, count(*) FILTER (WHERE accepted) AS accepted,
    sum(shown) AS shown, sum(opened) AS opened, count(*) FILTER (WHERE sample.results) AS known"""
_BY_LANGUAGE = text(f"""{_SAMPLE}
    SELECT lower(split_part(coalesce(nullif(device.locale, ''), reader.language, ''), '-', 1))
        AS part, {_REACH},
        count(*) FILTER (WHERE accepted AND (device.id IS NULL OR
            device.gone_why = :removed AND device.gone_at <= :end)) AS removals,
        count(*) FILTER (WHERE accepted AND device.gone_at <= :end
            AND device.gone_why <> ALL(:no_departure)) AS gone
    FROM sample LEFT JOIN device USING (id) LEFT JOIN reader ON reader.id = device.reader_id
    GROUP BY 1""")
_BY_TOPIC = text(f"""{_SAMPLE}
    SELECT topic.path AS part, {_REACH}
    FROM sample JOIN device USING (id)
    JOIN subscription USING (reader_id) JOIN topic ON topic.id = topic_id
    WHERE topic_id = ANY(:topics) GROUP BY 1""")
_ALERT = text(f"""
    SELECT {due_at("a")} AS due, now() AS now, root.everyone,
        coalesce(root.topic_ids, '{{}}') AS topics
    FROM alert a JOIN alert root ON root.id = coalesce(a.source_alert_id, a.id) WHERE a.id = :a""")
_DUE = text(f"""
    SELECT a.id FROM alert a
    WHERE a.settled AND NOT a.dry_run AND a.kind <> 'test' AND {due_at("a")} < now() - :day
        AND a.created_at > now() - make_interval(days => :keep)
        AND NOT EXISTS (SELECT 1 FROM alert_result WHERE alert_id = a.id)
    ORDER BY a.created_at DESC LIMIT :most FOR KEY SHARE OF a SKIP LOCKED""")
_KEEP = text(
    "INSERT INTO alert_result (alert_id, figures) VALUES (:alert_id, CAST(:figures AS jsonb))"
)
_GET = text("SELECT alert_id, figures FROM alert_result WHERE alert_id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """When an alert was due, and whose it was; `topics` is None for everyone's."""

    due: datetime
    now: datetime
    topics: Sequence[int] | None


def find_results(session: Session, alert_ids: Sequence[int]) -> dict[int, AlertResult]:
    """Return the results that are kept."""
    rows = session.execute(_GET, {"ids": list(alert_ids)})
    return {alert_id: AlertResult.from_json(figures) for alert_id, figures in rows}


def result_of(session: Session, alert_id: int) -> AlertResult:
    """Return what an alert did so far; from the day after on only when it was opened changes."""
    result = find_results(session, [alert_id]).get(alert_id)
    if result is None:
        return count_result(session, alert_id)
    return replace(result, openings=read_openings(session, alert_id))


def read_openings(session: Session, alert_id: int) -> dict[int, int]:
    """Return how many opened an alert, by minute since it was due."""
    return {row.minute: int(row.opened) for row in session.execute(_OPENINGS, {"a": alert_id})}


def count_result(session: Session, alert_id: int) -> AlertResult:
    """Count what an alert did so far."""
    row = session.execute(_ALERT, {"a": alert_id}).one()
    alert = _Circumstances(row.due, row.now, None if row.everyone else list(row.topics))
    by_app = _parts(session.execute(_BY_APP, {"a": alert_id}))
    total = sum(by_app.values(), PartResult())
    step = max(1, -(-total.planned // SAMPLE_DEVICES))
    values = {"a": alert_id, "step": step}
    languages = session.execute(_BY_LANGUAGE, {**values, **_departure_values(alert)}).all()
    by_language = _parts(languages)
    planned = sum(by_language.values(), PartResult()).planned
    factor = total.planned / planned if planned else 1.0
    by_topic: Mapping[str, PartResult] = {}
    if alert.topics:
        topic_rows = session.execute(_BY_TOPIC, {**values, "topics": list(alert.topics)})
        by_topic = _parts(topic_rows)
    removals = round(factor * sum(row.removals for row in languages))
    gone = round(factor * sum(row.gone for row in languages))
    departures = departures_between(session, alert.topics, alert.due, alert.due + DAY)
    return AlertResult(
        by_app=by_app,
        by_language={name: reach.scale(factor) for name, reach in by_language.items()},
        by_topic={path: reach.scale(factor) for path, reach in by_topic.items()},
        departures=replace(departures, removals=removals, gone=gone),
        usual=_usual(session, alert, total.accepted),
        openings=read_openings(session, alert_id),
        is_sample=step > 1,
    )


def keep_results(session: Session) -> int:
    """Keep the results of alerts whose day is over; returns how many."""
    values = {"day": DAY, "keep": KEEP_OPEN_DAYS, "most": RESULTS_A_PASS}
    due = list(session.execute(_DUE, values).scalars())
    for alert_id in due:
        figures = json.dumps(count_result(session, alert_id).to_json())
        session.execute(_KEEP, {"alert_id": alert_id, "figures": figures})
    return len(due)


def _departure_values(alert: _Circumstances) -> dict[str, Any]:
    no_departure = [REMOVED, MOVED, REPLACED, EVICTED]
    return {"removed": REMOVED, "no_departure": no_departure, "end": alert.due + DAY}


def _usual(session: Session, alert: _Circumstances, accepted: int) -> Departures | None:
    """Return what a day without a particular alert takes away; None while it is not known."""
    first = first_departure(session)
    begin = alert.due - USUAL
    daily = audience_days.daily_losses(session, begin, alert.due)
    if first is None or first > alert.due - DAY:
        return None
    days = (alert.due - max(first, begin)) / DAY
    total = departures_between(session, alert.topics, begin, alert.due)
    return Departures(
        unfollows=round(total.unfollows / days, 1),
        mutes=round(total.mutes / days, 1),
        removals=round(daily.removals * accepted, 1),
        gone=round(daily.gone * accepted, 1),
    )


def _parts(rows: Any) -> Mapping[str, PartResult]:
    return {
        row.part: PartResult(
            *map(int, (row.planned, row.accepted, row.shown, row.opened, row.known))
        )
        for row in rows
    }
