"""Rows with defaults: a test names what matters to it and nothing else."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import Delivery, State, count_states
from service.domain.topic import label_from
from service.store.readers.device_history import acceptances
from service.store.schema import (
    ID_LIMIT,
    AlertRow,
    BatchRow,
    DeviceRow,
    ReaderRow,
    ShardRow,
    StoryRow,
    SubscriptionRow,
    TopicRow,
)
from service.store.schema import new_id as an_id

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def _put(session: Session, row: Any) -> Any:
    session.add(row)
    session.flush()
    return row


def a_topic(session: Session, path: str = "world", **given: Any) -> TopicRow:
    return _put(session, TopicRow(**{"path": path, "label": label_from(path)} | given))


def a_reader(session: Session, **given: Any) -> ReaderRow:
    reader_id = given.pop("id", None) or an_id()
    values = {"language": "en", "timezone": "UTC"} | given
    digest = hashlib.sha256(str(reader_id).encode()).digest()
    return _put(session, ReaderRow(id=reader_id, token_hash=digest, **values))


def a_device(session: Session, reader: ReaderRow, **given: Any) -> DeviceRow:
    device_id = given.pop("id", None) or an_id()
    address = given.pop("address", None) or f"{device_id:064x}"
    values = {
        "provider": "apns",
        "address": address,
        "address_hash": hashlib.sha256(address.encode()).digest(),
        "registered_at": NOON - timedelta(days=1),
        "trusted_at": NOON - timedelta(days=1),
    } | given
    return _put(session, DeviceRow(id=device_id, reader_id=reader.id, **values))


def a_follow(session: Session, reader: ReaderRow, topic: TopicRow, **given: Any) -> SubscriptionRow:
    return _put(session, SubscriptionRow(reader_id=reader.id, topic_id=topic.id, **given))


def a_story(session: Session, **given: Any) -> StoryRow:
    story_id = given.pop("id", None) or an_id()
    values = {
        "slug": f"story-{story_id}",
        "state": "published",
        "headline": "Rain at last",
        "summary": "It rains.",
        "body": "<p>It rains.</p>",
        "topics": ["world"],
        "language": "en",
        "author": "",
        "published_at": NOON,
    } | given
    return _put(session, StoryRow(id=story_id, **values))


def an_alert(session: Session, story: StoryRow, **given: Any) -> AlertRow:
    now = datetime.now(UTC)
    values = {
        "kind": "first",
        "state": "planning",
        "locales": {},
        "urgency": 1,
        "collapse_key": f"story-{story.id}",
        "created_by": "a test",
        "created_at": now,
        "expires_at": now + timedelta(hours=4),
        "rejected_by": [],
    } | given
    return _put(session, AlertRow(story_id=story.id, **values))


def a_shard(session: Session, alert: AlertRow, **given: Any) -> ShardRow:
    values = {"n": 0, "lo": 0, "hi": ID_LIMIT, "done": True} | given
    return _put(session, ShardRow(alert_id=alert.id, **values))


def a_batch(
    session: Session, alert: AlertRow, deliveries: Sequence[State | Delivery], **given: Any
) -> BatchRow:
    """A batch of these deliveries, finished when all of them are."""
    packed = [d if isinstance(d, Delivery) else Delivery(d) for d in deliveries]
    states = bytes(delivery.pack() for delivery in packed)
    ended = all(delivery.state.final for delivery in packed)
    values = {
        "shard_n": 0,
        "n": 0,
        "provider": "apns",
        "device_ids": [an_id() for _ in deliveries],
        "states": states,
        "counts": count_states(states),
        "progress": [],
        "claimable_at": NOON,
        "finished_at": NOON if ended else None,
    } | given
    return _put(session, BatchRow(alert_id=alert.id, **values))


def note_acceptances(session: Session, device_ids: Sequence[int]) -> list[int]:
    """Note that these devices were accepted, as a write of batches does; return who was noted."""
    noted = acceptances("CAST(:ids AS bigint[])")
    statement = text(f"WITH {noted} SELECT id FROM accepted")
    return list(session.execute(statement, {"ids": list(device_ids)}).scalars())
