"""Question g: how long an editor waits for the size of an audience."""

import os
import time
from datetime import UTC, datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import Audience
from service.domain.subscription import Urgency
from service.store.readers import audience
from service.store.session import transaction
from tests.bench.report import Answer, Figure
from tests.bench.rig import Rig, tell

PROVIDERS = ("apns", "fcm", "webpush")
NOBODY = 1
MOST_TOPICS = 40
ROUNDS = 5


def estimates(rig: Rig) -> Answer:
    """Estimate the largest crowd's audience, beside PostgreSQL's own count of its followers.

    BENCH_SUBSCRIPTIONS asks for so many subscriptions to other topics besides.
    """
    devices = max(rig.sizes)
    topics = [rig.crowd(devices)]
    rig.workers(0)
    wanted = int(os.environ.get("BENCH_SUBSCRIPTIONS", "0"))
    if wanted:
        topics += _follow_more(rig, wanted)
    tell(f"estimates: {devices:,} devices, {len(topics)} topics")
    figures = []
    for named in (topics[:1], topics) if wanted else (topics,):
        counted, estimated, exact = _times(rig, named)
        what = f"{len(named)} topic(s)"
        figures += [
            Figure(f"{what}: plain count(*)", "ms", counted, beside=counted),
            Figure(f"{what}: every device counted", "ms", exact, beside=counted),
            Figure(f"{what}: the estimate", "ms", estimated, beside=counted),
        ]
    title = f"The estimate of {devices:,} devices, {_subscriptions(rig):,} subscriptions in all"
    return Answer("g", title, "a plain count(*) of the topics' subscriptions", figures)


def _times(rig: Rig, topics: list[str]) -> tuple[list[float], list[float], list[float]]:
    now = datetime.now(UTC)
    counted, estimated, exact = [], [], []
    with transaction(rig.system.engine) as session:
        wanted = Audience.of_topics(NOBODY, frozenset(topics), Urgency.NORMAL, now)
        frozen = audience.freeze(session, NOBODY, wanted)
        for _ in range(max(rig.repeats, ROUNDS)):
            begun = time.perf_counter()
            _plain_count(session, frozen)
            counted.append(_ms_since(begun))
            begun = time.perf_counter()
            audience._count(session, frozen, audience.ID_LIMIT, PROVIDERS)
            exact.append(_ms_since(begun))
            begun = time.perf_counter()
            audience.estimate(session, frozen, PROVIDERS)
            estimated.append(_ms_since(begun))
    return counted, estimated, exact


def _plain_count(session: Session, frozen: audience.FrozenAudience) -> None:
    query = "SELECT count(*) FROM subscription WHERE topic_id = ANY(:ids)"
    session.execute(text(query), {"ids": list(frozen.topic_ids)}).one()


def _ms_since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


def _subscriptions(rig: Rig) -> int:
    with transaction(rig.system.engine) as session:
        return int(session.execute(text("SELECT count(*) FROM subscription")).scalar_one())


def _follow_more(rig: Rig, wanted: int) -> list[str]:
    """Let the readers there are follow further topics, until there are enough subscriptions."""
    names = []
    while (there := _subscriptions(rig)) < wanted and len(names) < MOST_TOPICS:
        tell(f"subscriptions: {there:,} of {wanted:,}")
        name = f"bench/more{len(names)}"
        rig.system.answer("POST", "/api/topics", json={"path": name})
        with transaction(rig.system.engine) as session:
            session.execute(text("SET LOCAL statement_timeout = '30min'"))
            session.execute(
                text(
                    "INSERT INTO subscription (reader_id, topic_id) "
                    "SELECT reader.id, topic.id FROM reader, topic WHERE topic.path = :path "
                    "ORDER BY reader.id LIMIT :most"
                ),
                {"path": name, "most": wanted - there},
            )
            session.execute(text("ANALYZE subscription"))
        names.append(name)
    return names
