"""The table `subscription`: which topics a reader follows, from which urgency on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from service.domain.subscription import Subscription, Urgency
from service.store.paging import Page, after_text, cut, read_text
from service.store.results.departures import count_departures

_CHANGE = text(f"""
    WITH muted AS (
        SELECT topic_id FROM subscription WHERE reader_id = :reader_id AND topic_id = :topic_id
            AND CAST(:muted_until AS timestamptz) > now()
            AND (muted_until IS NULL OR muted_until <= now())),
    departed AS ({count_departures("mutes", "muted")})
    UPDATE subscription SET least_urgency = :least_urgency, muted_until = :muted_until
    WHERE reader_id = :reader_id AND topic_id = :topic_id RETURNING topic_id""")

_ADD = text(f"""
    WITH written AS (
        INSERT INTO subscription (reader_id, topic_id, least_urgency, muted_until)
        VALUES (:reader_id, :topic_id, :least_urgency, :muted_until)
        ON CONFLICT (reader_id, topic_id) DO UPDATE
            SET least_urgency = excluded.least_urgency, muted_until = excluded.muted_until
        RETURNING topic_id, muted_until, xmax = 0 AS is_new),
    departed AS ({count_departures("mutes", "written WHERE muted_until > now()")})
    SELECT is_new FROM written""")

_ADD_MANY = text("""
    INSERT INTO subscription (reader_id, topic_id)
    SELECT * FROM unnest(CAST(:reader_ids AS bigint[]), CAST(:topic_ids AS bigint[]))
    ON CONFLICT DO NOTHING""")

_COUNT = text("SELECT count(*) FROM subscription WHERE reader_id = :reader_id")

_REMOVE = text(f"""
    WITH removed AS (
        DELETE FROM subscription USING topic
        WHERE topic.path = :path AND topic_id = topic.id AND reader_id = :reader_id
        RETURNING topic_id),
    departed AS ({count_departures("unfollows", "removed")})
    SELECT topic_id FROM removed""")

_COLUMNS = "topic.path, least_urgency, muted_until"

_GET = text(f"""
    SELECT {_COLUMNS} FROM subscription JOIN topic ON topic.id = topic_id
    WHERE reader_id = :reader_id AND topic.path = :path""")

_PAGE = text(f"""
    SELECT {_COLUMNS} FROM subscription JOIN topic ON topic.id = topic_id
    WHERE reader_id = :reader_id AND topic.path COLLATE "C" > :after
    ORDER BY topic.path COLLATE "C" LIMIT :limit""")

_EXPORT = text(f"""
    SELECT {_COLUMNS}, subscription.created_at
    FROM subscription JOIN topic ON topic.id = topic_id
    WHERE reader_id = :reader_id
    ORDER BY topic.path""")


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A subscription and since when it stands."""

    subscription: Subscription
    created_at: datetime


def get(session: Session, reader_id: int, path: str) -> Subscription | None:
    """Return the reader's subscription to the topic, None without one."""
    row = session.execute(_GET, {"reader_id": reader_id, "path": path}).one_or_none()
    return _subscription(row) if row is not None else None


def page(session: Session, reader_id: int, cursor: str | None, limit: int) -> Page[Subscription]:
    """Return the reader's subscriptions in the order of their topics' paths."""
    values = {"reader_id": reader_id, "after": read_text(cursor) or "", "limit": limit + 1}
    subscriptions = [_subscription(row) for row in session.execute(_PAGE, values)]
    return cut(subscriptions, limit, lambda subscription: after_text(subscription.topic))


def count(session: Session, reader_id: int) -> int:
    """Return how many topics the reader follows."""
    return int(session.execute(_COUNT, {"reader_id": reader_id}).scalar_one())


def change(session: Session, reader_id: int, topic_id: int, subscription: Subscription) -> bool:
    """Keep the new urgency and mute; False when the reader does not follow the topic."""
    values = _values(reader_id, topic_id, subscription)
    return session.execute(_CHANGE, values).one_or_none() is not None


def add(session: Session, reader_id: int, topic_id: int, subscription: Subscription) -> bool:
    """Keep a new subscription; False when one came in between: it takes these values."""
    values = _values(reader_id, topic_id, subscription)
    return bool(session.execute(_ADD, values).scalar_one())


def add_many(session: Session, pairs: Iterable[tuple[int, int]]) -> None:
    """Let readers follow topics, by their ids; what they follow already stays as it is."""
    sorted_pairs = sorted(set(pairs))
    values = {"reader_ids": [r for r, _ in sorted_pairs], "topic_ids": [t for _, t in sorted_pairs]}
    session.execute(_ADD_MANY, values)


def remove(session: Session, reader_id: int, path: str) -> bool:
    """Delete the reader's subscription to the topic; False without one."""
    values = {"reader_id": reader_id, "path": path}
    return session.execute(_REMOVE, values).one_or_none() is not None


def export(session: Session, reader_id: int) -> list[SubscriptionRecord]:
    """Return all of the reader's subscriptions."""
    rows = session.execute(_EXPORT, {"reader_id": reader_id})
    return [SubscriptionRecord(_subscription(row), row.created_at) for row in rows]


def _values(reader_id: int, topic_id: int, subscription: Subscription) -> dict[str, Any]:
    return {
        "reader_id": reader_id,
        "topic_id": topic_id,
        "least_urgency": subscription.least_urgency.rank,
        "muted_until": subscription.muted_until,
    }


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        topic=row.path,
        least_urgency=Urgency.of_rank(row.least_urgency),
        muted_until=row.muted_until,
    )
