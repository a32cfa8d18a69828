"""A test push in the tables: for one reader, and no story, list or correction knows of it."""

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.domain.alert import Kind
from service.domain.delivery import State
from service.domain.people import Role
from service.store.alerts import alert_transitions, alerts, story_alerts
from service.store.deliveries import shards
from service.store.readers import past_alerts, readers
from service.store.schema import StaffRow
from service.store.staff import accounts
from tests import builders as a

NOW = datetime.now(UTC)
PROVIDERS = ("apns", "fcm")


@pytest.fixture
def story(session):
    return a.a_story(session, topics=["world"])


@pytest.fixture
def own(session):
    """The editor's reader, with a device of each of two providers, in quiet hours all day."""
    reader = a.a_reader(session, quiet_from=time(0), quiet_to=time(23, 59, 59))
    return reader, {a.a_device(session, reader, provider=name).id for name in PROVIDERS}


def a_test(session, story, reader, **given):
    values = {"kind": "test", "reader_id": reader.id, "started_at": NOW, "topic_ids": []} | given
    return a.an_alert(session, story, **values)


def reached(session, alert):
    """Fan the test's one shard out; returns its devices."""
    a.a_shard(session, alert, done=False)
    shards.fan_out(session, shards.planned_alert(session, alert.id), PROVIDERS)
    query = text("SELECT unnest(device_ids) FROM batch WHERE alert_id = :a")
    return set(session.execute(query, {"a": alert.id}).scalars())


def test_a_test_is_for_the_devices_of_its_reader_alone_even_in_quiet_hours(session, story, own):
    other = a.a_reader(session)
    a.a_device(session, other)
    a.a_follow(session, other, a.a_topic(session, "world"))
    reader, devices = own
    assert reached(session, a_test(session, story, reader)) == devices


def test_a_test_for_a_reader_who_was_erased_is_for_nobody(session, story, own):
    follower = a.a_reader(session)
    a.a_device(session, follower)
    a.a_follow(session, follower, a.a_topic(session, "world"))
    reader, _ = own
    test = a_test(session, story, reader)
    readers.erase(session, reader.id)
    assert reached(session, test) == set()


@pytest.mark.parametrize(("kind", "reader_id"), [("test", None), ("first", 42)])
def test_tests_and_nothing_else_have_a_reader(session, story, kind, reader_id):
    with pytest.raises(IntegrityError, match="alert_test_reader"), session.begin_nested():
        a.an_alert(session, story, kind=kind, reader_id=reader_id)


def test_a_test_takes_no_storys_place_and_is_no_root_of_corrections(session, story, own):
    a_test(session, story, own[0], state="finished")
    assert alerts.first_of(session, story.id) is None
    assert alerts.root_of_story(session, story.id) is None
    a.an_alert(session, story)


def test_no_list_of_what_readers_were_told_names_a_test(session, story, own):
    reader, devices = own
    test = a_test(session, story, reader, state="finished")
    a.a_shard(session, test)
    a.a_batch(session, test, [State.ACCEPTED], device_ids=[min(devices)])
    assert alerts.page(session, None, 10).items == []
    assert story_alerts.last_alerts(session, [story.id]) == {}
    assert past_alerts.past_alerts(session, reader.id, sorted(devices), NOW, 10) == []
    assert (
        story_alerts.recent_alerts(session, ["world"], everyone=True, since=NOW - timedelta(days=1))
        == []
    )


def test_a_correction_leaves_a_running_test_alone(session, story, own):
    test = a_test(session, story, own[0], state="sending")
    root = a.an_alert(session, story, state="sending", started_at=NOW)
    correction = a.an_alert(session, story, kind="update", source_alert_id=root.id)
    alert_transitions.stop_replaced_alerts(session, alerts.get(session, correction.id), NOW)
    session.expire_all()
    assert alerts.get(session, root.id).state == "stopped"
    assert alerts.get(session, test.id).state == "sending"
    assert alerts.get(session, test.id).kind is Kind.TEST


def test_whoever_is_erased_is_nobodys_reader_any_more(session, own):
    reader, _ = own
    row = StaffRow(email="editor@news.example", password_hash="none", role=Role.EDITOR)
    session.add(row)
    session.flush()
    accounts.tie(session, row.id, reader.id)
    assert accounts.find_staff(session, row.email).reader_id == reader.id
    readers.erase(session, reader.id)
    session.expire_all()
    assert accounts.find_staff(session, row.email).reader_id is None
