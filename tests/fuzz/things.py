"""One thing of each kind that a path may name, and bodies that are taken as they are."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from sqlmodel import Session, select

from service.domain.delivery import Delivery, State
from service.domain.people import Role, Scope, hash_token
from service.store.readers import readers
from service.store.schema import (
    DeadLetterRow,
    ReaderRow,
    SourceDeliveryRow,
    SourceRow,
    StaffRow,
    SubscriptionRow,
    TopicRow,
    new_id,
)
from service.store.session import transaction
from service.store.staff import accounts
from service.store.stories import stories, story_revisions
from tests import builders as a
from tests.fuzz.callers import APP, LOGIN_KEY, PASSWORD_HASH, login

Headers = dict[str, str]
FIELD_MAP = {"fields": {"uri": "id", "headline": "title", "body": "text"}}
NINJS = {"type": "text", "headline": "Rain", "body_html": "<p>Rain.</p>"}


def add_things(app: FastAPI, reader: Headers) -> dict[str, str]:
    """Add new ones, the reader's own where a thing is a reader's; return the path parameters."""
    with transaction(app.state.engine) as session:
        topic = session.exec(select(TopicRow).where(TopicRow.path == "world")).first()
        topic = topic or a.a_topic(session)
        story = a.a_story(session, state="published")
        saved = stories.get(session, story.id)
        assert saved is not None
        story_revisions.add(session, saved, "a test")
        things = _alert_with_a_delivery(session, reader, topic)
        source, delivery = _source(session)
        person = a.a_reader(session, external_id=f"person-{new_id()}")
        staff = StaffRow(
            email=f"{new_id()}@news.example", password_hash=PASSWORD_HASH, role=Role.EDITOR
        )
        session.add(staff)
        key, _ = accounts.add_key(session, "a key", (Scope.ADMIN,))
        session.flush()
        return things | {
            "story_id": str(story.id),
            "story": str(story.id),
            "slug": story.slug,
            "topic": topic.path,
            "path": topic.path,
            "source_id": str(source.id),
            "delivery_id": str(delivery.id),
            "external_id": str(person.external_id),
            "staff_id": str(staff.id),
            "key_id": str(key.id),
            "name": APP,
            "provider": APP,
            "month": f"{datetime.now(UTC):%Y-%m}",
        }


def _alert_with_a_delivery(session: Session, reader: Headers, topic: TopicRow) -> dict[str, str]:
    """Add an alert that has ended, with a delivery that was given up, to a follower's device."""
    token = reader["Authorization"].removeprefix("Bearer ")
    known = readers.by_token(session, hash_token(token))
    row = session.get(ReaderRow, known.id) if known else a.a_reader(session)
    device = a.a_device(session, row)
    if session.get(SubscriptionRow, (row.id, topic.id)) is None:
        a.a_follow(session, row, topic)
    story = a.a_story(session, state="published")
    alert = a.an_alert(session, story, state="finished", finished_at=datetime.now(UTC))
    a.a_shard(session, alert)
    batch = a.a_batch(session, alert, [Delivery(State.BURIED)], device_ids=[device.id])
    letter = DeadLetterRow(
        alert_id=alert.id,
        shard_n=batch.shard_n,
        n=batch.n,
        provider=APP,
        reason="exhausted",
        answer="503",
        positions=[0],
    )
    session.add(letter)
    return {"alert_id": str(alert.id), "device_id": str(device.id)}


def _source(session: Session) -> tuple[SourceRow, SourceDeliveryRow]:
    source = SourceRow(
        kind="custom",
        name=f"source-{new_id()}",
        signature="standard",
        topics=["world"],
        language="en",
        publish=True,
        paused=False,
        field_map=FIELD_MAP,
    )
    session.add(source)
    session.flush()
    delivery = SourceDeliveryRow(
        source_id=source.id,
        key=hashlib.sha256(str(source.id).encode()).hexdigest(),
        body=b'{"id": "1", "title": "Rain at last", "text": "It rains."}',
        times=1,
        outcome="refused",
        error="",
    )
    session.add(delivery)
    session.flush()
    return source, delivery


def sound_bodies(things: dict[str, str]) -> dict[tuple[str, str], Any]:
    """Return a body for each call that makes more demands than its schema can say."""
    subscription = {
        "provider": APP,
        "address": hashlib.sha256(things["device_id"].encode()).hexdigest(),
    }
    return {
        ("POST", "/api/me/login"): login(),
        ("PUT", "/api/me/devices"): subscription,
        ("POST", "/api/stories"): {"headline": "Rain", "body": "<p>Rain.</p>", "topics": ["world"]},
        ("POST", "/api/stories/{story_id}/alerts"): {"everyone": True},
        ("POST", "/api/stories/{story_id}/alerts/estimate"): {},
        ("POST", "/api/alerts/{alert_id}/withdraw"): {
            "title": "Withdrawn",
            "body": "It was wrong.",
        },
        ("PUT", "/api/me/subscriptions/{topic}"): {},
        ("PATCH", "/api/me"): {"language": "de", "quiet_hours": {"from": "22:00", "to": "07:00"}},
        ("PUT", "/api/admin/people/{external_id}"): {"subscriptions": {}},
        ("POST", "/api/admin/sources"): {
            "kind": "custom",
            "name": f"s-{things['story_id']}",
            "secret": "a secret of thirty-two letters at least",
            "field_map": FIELD_MAP,
        },
        ("POST", "/api/ingest/ninjs"): NINJS | {"uri": f"urn:x:{things['story_id']}"},
        ("PATCH", "/api/admin/sources/{source_id}"): {"paused": True},
        ("POST", "/api/topics"): {"path": "world/asia"},
        ("PUT", "/api/admin/providers/{name}/hold"): {"reason": "a fuzzer"},
        ("PUT", "/api/admin/pause"): {"reason": "a fuzzer"},
        ("PATCH", "/api/admin/apps/{name}"): {"login_key": LOGIN_KEY},
    }
