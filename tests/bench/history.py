"""Question j: what a long history costs, and what it costs to forget its oldest part.

The history is written with SQL, as the workers would have left it: alerts of 100,000 deliveries,
evenly over the days that deliveries are kept, each with its batches and, for half of these, what
devices said. BENCH_HISTORY (2,000,000) is its size in deliveries.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Engine, text
from sqlmodel import Session

from service.demo.servers import EmbeddedServers, run_temporarily
from service.domain.audience import Audience
from service.domain.subscription import Urgency
from service.store.alerts import alert_transitions, alerts, unfinished_alerts
from service.store.deliveries import batch_claims, retention, shards
from service.store.deliveries.packing import BATCH
from service.store.migrate import migrate
from service.store.readers import audience, seeding
from service.store.results import month_alerts
from service.store.schema import ID_LIMIT
from service.store.session import open_engine, transaction
from tests import builders as a
from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.report import Answer, Figure

DELIVERIES = int(os.environ.get("BENCH_HISTORY", "2000000"))
PER_ALERT = 100_000
KEEP_DAYS = 90
BASE_ALERTS = 50
"""So many are there before the history is: a page of the list of alerts is full."""
READERS = 100_000
ROUNDS = 15
APPS = ["apns", "fcm"]
TABLES = ("batch", "receipt", "alert", "shard")

_TEMPLATE = """
CREATE TABLE template AS SELECT (n / 10)::int AS shard_n, (n % 10)::int AS n,
    (ARRAY['apns', 'fcm'])[1 + n % 2] AS provider,
    (SELECT array_agg(id ORDER BY id) FROM (
        SELECT ((n * 1000 + random() * 1000) * 92233720368547)::bigint AS id
        FROM generate_series(1, 1000)) ids) AS device_ids
FROM generate_series(0, CAST(:batches AS int) - 1) n
"""
_ALERTS = """
INSERT INTO alert (id, story_id, kind, state, void, locales, urgency, everyone, collapse_key,
    dry_run, takes_over, created_by, created_at, started_at, expires_at, finished_at, settled)
SELECT (random() * 9e18)::bigint, :story, 'update', 'finished', false, '{}', 1, true, 'bench',
    false, false, 'bench', day, day, day + interval '4 h', day + interval '1 min', true
FROM (SELECT now() - make_interval(secs => CAST(:seconds AS float8) * i) AS day
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) i) days
RETURNING id
"""
_BATCHES = """
INSERT INTO batch (alert_id, shard_n, n, provider, device_ids, states, counts, progress, started_at,
    finished_at)
SELECT alert.id, t.shard_n, t.n, t.provider, t.device_ids, decode(repeat('0a', 1000), 'hex'),
    '{0,0,1000,0,0,0,0}', '{1000,400,1025,600}', now(), now()
FROM unnest(CAST(:ids AS bigint[])) AS alert(id), template t
"""
_SHARDS = """
INSERT INTO shard (alert_id, n, lo, hi, done)
SELECT alert.id, t.shard_n, t.shard_n * 1000, t.shard_n * 1000 + 1000, true
FROM unnest(CAST(:ids AS bigint[])) AS alert(id), (SELECT DISTINCT shard_n FROM template) t
"""
_RECEIPTS = """
INSERT INTO receipt (alert_id, shard_n, n, marks, openings)
SELECT alert.id, t.shard_n, t.n, decode(repeat('a5', 125) || repeat('11', 125), 'hex'),
    '{0,100,1,100,5,50}'
FROM unnest(CAST(:ids AS bigint[])) AS alert(id), template t WHERE t.n % 2 = 0
"""
_LIVE_ALERT = """
UPDATE alert SET state = 'sending', started_at = now(), topic_ids = '{}', above = '{}'
WHERE id = :a
"""


def history(bench: BenchSystem) -> Answer:
    """Time what must not slow down, without a history and with one; then forget a week of it."""
    with run_temporarily() as servers:
        migrate(servers.database_url)
        engine = open_engine(servers.database_url)
        seeding.seed(servers.database_url, readers=READERS, mix=seeding.Mix(topics_per_reader=2))
        story = _prepare(engine)
        rounds = max(bench.repeats, ROUNDS)
        base = min(BASE_ALERTS, DELIVERIES // PER_ALERT // 2)
        recent = _write_history(engine, story, 0, base - 1)
        _settle(servers)
        before = _times(engine, recent[0], rounds)
        seconds = _timed(lambda: _write_history(engine, story, base, DELIVERIES // PER_ALERT))
        print_progress(f"{DELIVERIES:,} deliveries written in {seconds:.0f} s")
        _settle(servers)
        with_history = _times(engine, recent[0], rounds)
        figures = [
            Figure(what, "ms", values, beside=before[what]) for what, values in with_history.items()
        ]
        figures += _sizes(engine)
        figures += _forget_a_week(engine, story)
        engine.dispose()
    return Answer(
        "j", f"A history of {DELIVERIES:,} deliveries", f"the newest {base} alerts alone", figures
    )


def _settle(servers: EmbeddedServers) -> None:
    """Let what was just written not be what is measured."""
    with psycopg.connect(f"{servers.postgres.server_url}/postgres", autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def _prepare(engine: Engine) -> int:
    with transaction(engine) as session:
        session.execute(text(_TEMPLATE), {"batches": PER_ALERT // BATCH})
        return int(a.a_story(session).id)


def _write_history(engine: Engine, story: int, first: int, last: int) -> list[int]:
    """Write alerts, the newest first, `KEEP_DAYS` over their number apart."""
    ids: list[int] = []
    seconds = KEEP_DAYS * 86_400 / (DELIVERIES // PER_ALERT)
    for part in range(first, last + 1, 50):
        values = {"story": story, "seconds": seconds}
        values |= {"first": part, "last": min(part + 49, last)}
        with transaction(engine) as session:
            session.execute(text("SET LOCAL statement_timeout = 0"))
            made = list(session.execute(text(_ALERTS), values).scalars())
            for statement in (_BATCHES, _SHARDS, _RECEIPTS):
                session.execute(text(statement), {"ids": made})
        ids += made
    _vacuum(engine, "VACUUM ANALYZE")
    return ids


def _times(engine: Engine, alert_id: int, rounds: int) -> dict[str, list[float]]:
    now = datetime.now(UTC)
    calls: dict[str, Callable[[Session], Any]] = {
        "fan-out of a shard of about 10,000 devices": _fan_out,
        "claim of a batch, and its devices": _claim,
        "report of an alert of 100,000": lambda s: alerts.report(s, alert_id),
        "list of the newest 50 alerts": lambda s: alerts.page(s, None, 50),
        "alerts of a month, more of them": lambda s: month_alerts.alerts_between(
            s, now - timedelta(30), now
        ),
        "the sweep's searches": _sweep,
    }
    return {what: [_undone(engine, call) for _ in range(rounds)] for what, call in calls.items()}


def _undone(engine: Engine, call: Callable[[Session], Any]) -> float:
    """Return how many milliseconds a call takes that is rolled back afterwards."""

    class Undo(Exception):
        pass

    milliseconds = 0.0
    with suppress(Undo), transaction(engine) as session:
        start = time.perf_counter()
        took = call(session)
        milliseconds = (time.perf_counter() - start) * 1000
        if isinstance(took, float):
            milliseconds = took
        raise Undo
    return milliseconds


def _fan_out(session: Session) -> float:
    """Return the milliseconds of one shard's fan-out, without those of its preparation."""
    alert = a.an_alert(session, a.a_story(session), everyone=True, state="planning")
    everyone = Audience.of_everyone(alert.story_id, Urgency.BREAKING, datetime.now(UTC))
    columns = audience.frozen_columns(audience.freeze(session, alert.story_id, everyone))
    alert_transitions.freeze(session, alert.id, datetime.now(UTC), columns)
    shards.add(session, alert.id, [(0, ID_LIMIT * 10_000 // READERS)])
    planned = shards.planned_alert(session, alert.id)
    assert planned is not None
    start = time.perf_counter()
    assert shards.fan_out(session, planned, ["apns", "fcm", "webpush"], 0)
    return (time.perf_counter() - start) * 1000


def _claim(session: Session) -> float:
    alert = a.an_alert(session, a.a_story(session), everyone=True, state="planning")
    session.execute(text(_LIVE_ALERT), {"a": alert.id})
    session.execute(text(_BATCHES), {"ids": [alert.id]})
    session.execute(
        text(
            "UPDATE batch SET finished_at = NULL, started_at = NULL, states = decode(repeat('00', "
            "1000), 'hex') WHERE alert_id = :a"
        ),
        {"a": alert.id},
    )
    start = time.perf_counter()
    [_] = batch_claims.claim(session, alert.id, "apns", lease_s=20)
    return (time.perf_counter() - start) * 1000


def _sweep(session: Session) -> None:
    unfinished_alerts.alerts_to_plan(session, 2)
    unfinished_alerts.alerts_to_fan_out(session, 2)
    unfinished_alerts.alerts_to_deliver(session, APPS)
    unfinished_alerts.alerts_past_deadline(session)
    unfinished_alerts.alerts_to_finish(session)


def _sizes(engine: Engine) -> list[Figure]:
    with transaction(engine) as session:
        sizes = {
            table: int(
                session.execute(text(f"SELECT pg_total_relation_size('{table}')")).scalar_one()
            )
            for table in TABLES
        }
    return [
        Figure(f"size of {table}", "MB a million", [size / DELIVERIES])
        for table, size in sizes.items()
    ]


def _forget_a_week(engine: Engine, story: int) -> list[Figure]:
    """Let a week pass: fold what is too old, vacuum, write as much again, and compare the sizes."""
    before = _bytes(engine)
    with transaction(engine) as session:
        session.execute(text("UPDATE alert SET finished_at = finished_at - interval '7 days'"))
    milliseconds, log = [], _wal(engine)
    while True:
        start = time.perf_counter()
        with transaction(engine) as session:
            more = retention.shrink_oldest_alert(session, KEEP_DAYS)
        if not more:
            break
        milliseconds.append((time.perf_counter() - start) * 1000)
    idle = (time.perf_counter() - start) * 1000
    written = (_wal(engine) - log) / 1e6
    vacuum = _timed(lambda: _vacuum(engine, "VACUUM"))
    _write_history(engine, story, 0, max(len(milliseconds) - 1, 0))
    return [
        Figure("retention: one alert of 100,000", "ms", milliseconds),
        Figure("retention: a week of history", "s", [sum(milliseconds) / 1000]),
        Figure("retention: a pass that finds nothing", "ms", [idle]),
        Figure(
            "retention: log written for a million deliveries",
            "MB",
            [written / max(len(milliseconds) * PER_ALERT / 1e6, 1e-9)],
        ),
        Figure("vacuum after that week, all tables", "s", [vacuum]),
        Figure("size after the next week", "of before", [_bytes(engine) / before]),
    ]


def _bytes(engine: Engine) -> int:
    with transaction(engine) as session:
        names = " + ".join(f"pg_total_relation_size('{table}')" for table in TABLES)
        return int(session.execute(text(f"SELECT {names}")).scalar_one())


def _wal(engine: Engine) -> int:
    with transaction(engine) as session:
        return int(
            session.execute(text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")).scalar_one()
        )


def _vacuum(engine: Engine, command: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        for table in TABLES:
            connection.execute(text(f"{command} {table}"))
        connection.execute(text("RESET statement_timeout"))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
