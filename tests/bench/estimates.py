"""Question g: how long an editor waits for the estimate of an audience."""

import os
import time
from datetime import UTC, datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import Audience
from service.domain.subscription import Urgency
from service.store.readers import audience, audience_counts
from service.store.session import transaction
from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.report import Answer, Figure

PROVIDERS = ("apns", "fcm", "webpush")
NOBODY = 1
MAX_TOPICS = 40
ROUNDS = 5


def estimates(bench: BenchSystem) -> Answer:
    """Estimate the largest audience; the reference is PostgreSQL's count of its followers.

    BENCH_SUBSCRIPTIONS adds so many subscriptions to other topics.
    """
    devices = max(bench.sizes)
    topics = [bench.add_followers(devices)]
    bench.run_senders(0)
    target = int(os.environ.get("BENCH_SUBSCRIPTIONS", "0"))
    if target:
        topics += _follow_more(bench, target)
    print_progress(f"estimates: {devices:,} devices, {len(topics)} topics")
    figures = []
    for names in (topics[:1], topics) if target else (topics,):
        count_ms, estimate_ms, exact_ms = _times(bench, names)
        what = f"{len(names)} topic(s)"
        figures += [
            Figure(f"{what}: plain count(*)", "ms", count_ms, beside=count_ms),
            Figure(f"{what}: every device counted", "ms", exact_ms, beside=count_ms),
            Figure(f"{what}: the estimate", "ms", estimate_ms, beside=count_ms),
        ]
    title = f"The estimate of {devices:,} devices, {_subscriptions(bench):,} subscriptions in all"
    return Answer("g", title, "a plain count(*) of the topics' subscriptions", figures)


def _times(bench: BenchSystem, topics: list[str]) -> tuple[list[float], list[float], list[float]]:
    now = datetime.now(UTC)
    count_ms, estimate_ms, exact_ms = [], [], []
    with transaction(bench.system.engine) as session:
        rules = Audience.of_topics(NOBODY, frozenset(topics), Urgency.NORMAL, now)
        frozen = audience.freeze(session, NOBODY, rules)
        for _ in range(max(bench.repeats, ROUNDS)):
            start = time.perf_counter()
            _plain_count(session, frozen)
            count_ms.append(_ms_since(start))
            start = time.perf_counter()
            audience_counts.count_devices(session, frozen, audience.ID_LIMIT, PROVIDERS)
            exact_ms.append(_ms_since(start))
            start = time.perf_counter()
            audience_counts.estimate(session, frozen, PROVIDERS)
            estimate_ms.append(_ms_since(start))
    return count_ms, estimate_ms, exact_ms


def _plain_count(session: Session, frozen: audience.FrozenAudience) -> None:
    query = "SELECT count(*) FROM subscription WHERE topic_id = ANY(:ids)"
    session.execute(text(query), {"ids": list(frozen.topic_ids)}).one()


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _subscriptions(bench: BenchSystem) -> int:
    with transaction(bench.system.engine) as session:
        return int(session.execute(text("SELECT count(*) FROM subscription")).scalar_one())


def _follow_more(bench: BenchSystem, target: int) -> list[str]:
    """Let the existing readers follow further topics until there are enough subscriptions."""
    names = []
    while (count := _subscriptions(bench)) < target and len(names) < MAX_TOPICS:
        print_progress(f"subscriptions: {count:,} of {target:,}")
        name = f"bench/more{len(names)}"
        bench.system.answer("POST", "/api/topics", json={"path": name})
        with transaction(bench.system.engine) as session:
            session.execute(text("SET LOCAL statement_timeout = '30min'"))
            session.execute(
                text(
                    "INSERT INTO subscription (reader_id, topic_id) "
                    "SELECT reader.id, topic.id FROM reader, topic WHERE topic.path = :path "
                    "ORDER BY reader.id LIMIT :most"
                ),
                {"path": name, "most": target - count},
            )
            session.execute(text("ANALYZE subscription"))
        names.append(name)
    return names
