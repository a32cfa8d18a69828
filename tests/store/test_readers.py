from dataclasses import replace
from datetime import UTC, datetime, time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.domain.device import Registration
from service.domain.people import QuietHours, Reader, hash_token
from service.domain.subscription import Subscription
from service.store.readers import devices, readers, subscriptions
from service.store.schema import new_id

NIGHT = QuietHours(time(22, 30), time(7, 0))


def a_reader(session, token="t", **more):
    reader = Reader(id=new_id(), **more)
    readers.add(session, reader, hash_token(token))
    return reader


def test_a_reader_is_found_by_its_token_alone(session):
    kept = a_reader(session, "mine", language="hi", timezone="Asia/Kolkata", quiet_hours=NIGHT)
    a_reader(session, "theirs")
    assert readers.by_token(session, hash_token("mine")) == kept
    assert readers.by_token(session, hash_token("Mine")) is None


def test_the_token_itself_is_kept_nowhere(session):
    a_reader(session, "sesame-open")
    row = session.execute(text("SELECT reader::text FROM reader")).scalar_one()
    assert "sesame" not in row
    assert b"sesame".hex() not in row


def test_two_readers_never_share_a_token(session):
    a_reader(session, "same")
    with pytest.raises(IntegrityError), session.begin_nested():
        a_reader(session, "same")


def test_a_change_keeps_every_field(session):
    reader = a_reader(session)
    changed = replace(reader, language="mr", timezone="Europe/Kyiv", quiet_hours=NIGHT)
    assert readers.change(session, changed)
    assert readers.by_token(session, hash_token("t")) == changed
    assert readers.change(session, replace(changed, quiet_hours=None))
    assert readers.lock(session, reader.id) == replace(changed, quiet_hours=None)


def test_changing_an_erased_reader_says_so(session):
    assert not readers.change(session, Reader(id=new_id()))
    assert readers.lock(session, new_id()) is None


def test_a_zone_that_a_newer_data_package_brought_is_kept(session):
    session.execute(text("DELETE FROM time_zone WHERE name = 'Asia/Kathmandu'"))
    reader = a_reader(session, "mine", timezone="Asia/Kathmandu")
    session.execute(text("DELETE FROM reader"))
    session.execute(text("DELETE FROM time_zone WHERE name = 'Asia/Kathmandu'"))
    other = a_reader(session, "other", timezone="UTC")
    assert readers.change(session, replace(other, timezone=reader.timezone))
    readers.revise_many(session, [(other.id, "ne", None)])
    assert readers.by_token(session, hash_token("other")).timezone == "Asia/Kathmandu"


def test_erasing_a_reader_leaves_nothing_of_it(session):
    at = datetime.now(UTC)
    reader = a_reader(session)
    other = a_reader(session, "other")
    for owner in (reader, other):
        registration = Registration(provider="fcm", address=f"address of {owner.id}")
        devices.register(session, owner.id, registration, at)
    gone, _ = devices.register(session, reader.id, Registration(provider="fcm", address="b"), at)
    devices.remove(session, reader.id, gone.id, at)
    session.execute(text("INSERT INTO topic (id, path, label) VALUES (1, 'sport', 'Sport')"))
    for owner in (reader, other):
        subscriptions.add(session, owner.id, 1, Subscription(topic="sport"))
    assert readers.erase(session, reader.id)
    for table, column in (("reader", "id"), ("device", "reader_id"), ("subscription", "reader_id")):
        owners = session.execute(text(f"SELECT {column} FROM {table}")).scalars().all()
        assert owners == [other.id], table
    assert not readers.erase(session, reader.id)


def test_erasing_finds_the_readers_devices_by_an_index(session):
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = session.execute(text("EXPLAIN DELETE FROM device WHERE reader_id = 1")).scalars()
    assert "device_reader" in "\n".join(plan)
