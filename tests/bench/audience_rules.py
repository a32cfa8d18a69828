"""Question l: what the rules of languages and of frequency add to the fan-out of an alert.

CPU of the server's process, for full shards of 10,000 devices, one alert after the other in turns.
All readers read the alert: who is left out costs less. BENCH_RULES (60000) is the number of
readers, BENCH_SHARDS (5) how many shards of each alert are measured.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text
from sqlmodel import Session

from service.demo.servers import run_temporarily
from service.domain.audience import Audience
from service.domain.subscription import Urgency
from service.store.deliveries import shards
from service.store.deliveries.planned_alert import PlannedAlert
from service.store.migrate import migrate
from service.store.readers import audience, seeding
from service.store.schema import ID_LIMIT, AlertRow
from service.store.session import open_engine, transaction
from tests import builders as a
from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.report import Answer, Figure

READERS = int(os.environ.get("BENCH_RULES", "60000"))
SHARDS = int(os.environ.get("BENCH_SHARDS", "5"))
ROUNDS = 5
PER_SHARD = 10_000
APPS = ["apns", "fcm"]
TOPIC = "bench"
LANGUAGES = ["en", "hi"]
CAP = 5
RULES = {
    "none but quiet hours": (False, False),
    "languages": (True, False),
    "frequency": (False, True),
    "both": (True, True),
}
MANY = 2 * CAP - 2
DAYS = {
    "no alert before": (0, "true"),
    f"{CAP - 1} alerts before, to all": (CAP - 1, "true"),
    f"{MANY} alerts before, to the same two halves in turns": (MANY, "(id + :n) % 2 = 0"),
    f"{MANY} alerts before, each to a random half": (MANY, "hashint8(id + 7919 * :n) & 1 = 0"),
    f"{MANY} alerts before, four of them to everybody": (
        MANY,
        "((hashint8(id) >> 3) & 7) IN (:n, (:n + 1) % 8, (:n + 3) % 8, (:n + 6) % 8)",
    ),
}
"""How many alerts there were in 24 hours, and to which readers the `n`th went."""
READERS_A_ROW = 200

_SENDS = """
    INSERT INTO recent_send SELECT :alert, min(id), array_agg(id) FROM reader
    WHERE {condition} AND CAST(:n AS bigint) >= 0 GROUP BY id / :width"""


def audience_rules(bench: BenchSystem) -> Answer:
    """Measure in a database of its own."""
    figures = []
    with run_temporarily() as servers:
        migrate(servers.database_url)
        mix = seeding.Mix(
            topics_per_reader=1, topics={TOPIC: 1.0}, providers=dict.fromkeys(APPS, 1.0), muted=0
        )
        seeding.seed(servers.database_url, readers=READERS, mix=mix)
        engine = open_engine(servers.database_url)
        with transaction(engine) as session:
            session.execute(text("UPDATE reader SET reads = ARRAY[(ARRAY['en','hi'])[1 + id % 2]]"))
        for name, (alerts, condition) in DAYS.items():
            print_progress(f"rules: {name}")
            _write_day(engine, alerts, condition)
            times = _measure(engine, max(bench.repeats, ROUNDS))
            base = times["none but quiet hours"]
            figures += [
                Figure(f"{name}: {rules}", "us a device", values, beside=base)
                for rules, values in times.items()
            ]
        engine.dispose()
    title = f"The rules of an audience, {SHARDS} shards of {PER_SHARD:,} devices, cap {CAP}"
    return Answer("l", title, "the same fan-out with quiet hours only", figures)


def _write_day(engine: Engine, alerts: int, condition: str) -> None:
    """Replace the sends of the last 24 hours."""
    with transaction(engine) as session:
        session.execute(text("DELETE FROM recent_send"))
        for n in range(alerts):
            alert = _an_alert(session)
            width = ID_LIMIT // max(READERS // READERS_A_ROW, 1) + 1
            values = {"alert": alert.id, "n": n, "width": width}
            session.execute(text(_SENDS.format(condition=condition)), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) recent_send, alert, reader"))


def _an_alert(session: Session) -> AlertRow:
    story = a.a_story(session, topics=[TOPIC])
    return a.an_alert(session, story, started_at=datetime.now(UTC), state="sending")


def _measure(engine: Engine, rounds: int) -> dict[str, list[float]]:
    """Return by rules the CPU microseconds a device, one figure a round."""
    times: dict[str, list[float]] = {name: [] for name in RULES}
    for _ in range(rounds):
        for name, (languages, frequency) in RULES.items():
            with Session(engine) as session:
                alert = _plan(session, languages=languages, frequency=frequency)
                before = _cpu_ns(session)
                for n in range(1, SHARDS + 1):
                    assert shards.fan_out(session, alert, APPS, n)
                used = _cpu_ns(session) - before
                session.rollback()
            times[name].append(used / 1000 / SHARDS / PER_SHARD)
    return times


def _plan(session: Session, *, languages: bool, frequency: bool) -> PlannedAlert:
    row = _an_alert(session)
    recipients = Audience.of_topics(row.story_id, [TOPIC], Urgency.NORMAL, datetime.now(UTC))
    if languages:
        recipients = recipients.in_languages(LANGUAGES)
    columns = audience.frozen_columns(
        audience.freeze(session, row.story_id, recipients.capped_at(CAP if frequency else None))
    )
    session.execute(
        text(
            "UPDATE alert SET topic_ids = :topic_ids, above = :above, frequency_cap = "
            ":frequency_cap, languages = CAST(:languages AS text[]) WHERE id = :alert"
        ),
        {"alert": row.id, **columns},
    )
    shards.add(session, row.id, shards.cut_id_space(READERS, PER_SHARD))
    alert = shards.planned_alert(session, row.id)
    assert alert is not None
    return alert


def _cpu_ns(session: Session) -> int:
    """Return the CPU that the server's process of this session has used."""
    pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
