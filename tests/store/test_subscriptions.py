from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.errors import Invalid
from service.domain.people import Reader
from service.domain.subscription import Subscription, Urgency
from service.store.readers import readers, subscriptions
from service.store.schema import new_id

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def reader_id(session):
    return a_reader(session)


def a_reader(session):
    reader = Reader(id=new_id())
    readers.add(session, reader, reader.id.to_bytes(32))
    return reader.id


def a_topic(session, path):
    topic_id = new_id()
    session.execute(
        text("INSERT INTO topic (id, path, label) VALUES (:id, :path, '')"),
        {"id": topic_id, "path": path},
    )
    return topic_id


def test_a_subscription_is_kept_as_it_was_given(session, reader_id):
    topic_id = a_topic(session, "sport/tennis")
    wanted = Subscription(topic="sport/tennis", least_urgency=Urgency.BREAKING, muted_until=NOON)
    assert subscriptions.add(session, reader_id, topic_id, wanted)
    assert subscriptions.get(session, reader_id, "sport/tennis") == wanted
    assert subscriptions.count(session, reader_id) == 1


def test_nobody_elses_subscription_is_seen_changed_or_removed(session, reader_id):
    topic_id = a_topic(session, "sport")
    subscriptions.add(session, reader_id, topic_id, Subscription(topic="sport"))
    other = a_reader(session)
    changed = Subscription(topic="sport", least_urgency=Urgency.NORMAL)
    assert subscriptions.get(session, other, "sport") is None
    assert not subscriptions.change(session, other, topic_id, changed)
    assert not subscriptions.remove(session, other, "sport")
    assert subscriptions.page(session, other, None, 10).items == []
    assert subscriptions.get(session, reader_id, "sport") == Subscription(topic="sport")


def test_a_change_takes_both_terms(session, reader_id):
    topic_id = a_topic(session, "sport")
    muted = Subscription(topic="sport", least_urgency=Urgency.NORMAL, muted_until=NOON)
    subscriptions.add(session, reader_id, topic_id, muted)
    assert subscriptions.change(session, reader_id, topic_id, Subscription(topic="sport"))
    assert subscriptions.get(session, reader_id, "sport") == Subscription(topic="sport")


def test_adding_what_came_in_between_takes_the_new_terms(session, reader_id):
    topic_id = a_topic(session, "sport")
    assert subscriptions.add(session, reader_id, topic_id, Subscription(topic="sport"))
    wanted = Subscription(topic="sport", least_urgency=Urgency.BREAKING)
    assert not subscriptions.add(session, reader_id, topic_id, wanted)
    assert subscriptions.get(session, reader_id, "sport") == wanted


def test_a_removed_subscription_is_gone(session, reader_id):
    subscriptions.add(session, reader_id, a_topic(session, "sport"), Subscription(topic="sport"))
    assert subscriptions.remove(session, reader_id, "sport")
    assert subscriptions.get(session, reader_id, "sport") is None
    assert not subscriptions.remove(session, reader_id, "sport")
    assert not subscriptions.remove(session, reader_id, "never/was")


def test_pages_hold_each_subscription_once_in_the_order_of_the_paths(session, reader_id):
    paths = ["a", "a-b", "a/b", "a/b/c", "ab", "b", "story/7"]
    for path in reversed(paths):
        subscriptions.add(session, reader_id, a_topic(session, path), Subscription(topic=path))
    seen, cursor = [], None
    for _ in range(10):
        page = subscriptions.page(session, reader_id, cursor, 2)
        assert len(page.items) <= 2
        seen += [subscription.topic for subscription in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == paths


def test_a_cursor_of_another_make_is_refused(session, reader_id):
    with pytest.raises(Invalid) as refused:
        subscriptions.page(session, reader_id, "nonsense!", 2)
    assert refused.value.field == "cursor"


def test_export_says_since_when(session, reader_id):
    subscriptions.add(session, reader_id, a_topic(session, "sport"), Subscription(topic="sport"))
    (held,) = subscriptions.export(session, reader_id)
    assert held.subscription == Subscription(topic="sport")
    assert abs(held.created_at - datetime.now(UTC)) < timedelta(minutes=1)
