"""Devices that were not seen for long: out of the counts, then forgotten, and back at any time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from service.domain.audience import Audience
from service.domain.device import Registration
from service.domain.subscription import Urgency
from service.store.readers import (
    audience,
    audience_counts,
    device_ages,
    device_counts,
    device_groups,
    devices,
)
from service.store.readers.device_counts import DeviceCount
from service.store.schema import ID_LIMIT
from tests import builders as a

EVERYBODY = (0, ID_LIMIT)
STORY = 42


@pytest.fixture
def old_and_new(session):
    """A device that was last seen 61 days ago, one of 59 days ago, and one of today."""
    now = datetime.now(UTC)
    return [
        a.a_device(
            session,
            a.a_reader(session),
            registered_at=now - timedelta(days=days),
            address=f"{days:064x}",
            address_hash=devices.address_hash("apns", f"{days:064x}"),
        )
        for days in (61, 59, 0)
    ]


def estimate(session):
    everyone = Audience.of_everyone(STORY, Urgency.NORMAL, datetime.now(UTC))
    frozen = audience.freeze(session, STORY, everyone)
    return audience_counts.estimate(session, frozen, ["apns", "fcm"]).devices


def fan_out(session):
    everyone = Audience.of_everyone(STORY, Urgency.NORMAL, datetime.now(UTC))
    frozen = audience.freeze(session, STORY, everyone)
    query = text(f"{audience.devices_sql(frozen)} SELECT id FROM device_in")
    values = audience.parameters(session, frozen, 0, ID_LIMIT, ["apns", "fcm"])
    return set(session.execute(query, values).scalars())


def stale_ids(session):
    return set(session.execute(text("SELECT id FROM device WHERE stale")).scalars())


def test_a_device_not_seen_for_sixty_days_leaves_the_counts_and_still_gets_alerts(
    session, old_and_new
):
    assert device_ages.mark_stale(session, EVERYBODY, 60) == 1
    assert stale_ids(session) == {old_and_new[0].id}
    assert estimate(session) == 2
    assert device_counts.count_by_app(session) == {"apns": DeviceCount(2, 1)}
    assert fan_out(session) == {device.id for device in old_and_new}
    assert device_ages.mark_stale(session, EVERYBODY, 60) == 0


def test_another_number_of_days_holds_for_the_devices_that_are_stale_already(session, old_and_new):
    device_ages.mark_stale(session, EVERYBODY, 30)
    assert len(stale_ids(session)) == 2
    assert device_ages.mark_stale(session, EVERYBODY, 90) == 2
    assert stale_ids(session) == set()


@pytest.mark.parametrize("how", ["alone", "in a group"])
def test_a_renewal_brings_a_stale_device_back(session, old_and_new, how):
    device_ages.mark_stale(session, EVERYBODY, 60)
    device = old_and_new[0]
    registration = Registration(provider="apns", address=device.address, app="apns")
    if how == "alone":
        devices.register(session, device.reader_id, registration, datetime.now(UTC))
    else:
        query = text("SELECT token_hash FROM reader WHERE id = :id")
        digest = session.execute(query, {"id": device.reader_id}).scalar_one()
        assert device_groups.renew_all(session, [(digest, registration)]) == [device.id]
    assert stale_ids(session) == set()
    assert estimate(session) == 3


def test_only_the_readers_of_this_minute_are_looked_at_and_a_day_covers_all(session, old_and_new):
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    minutes = [midnight + timedelta(minutes=n, seconds=59) for n in range(24 * 60)]
    parts = [device_ages.part_at(moment) for moment in minutes]
    edges = sorted(parts)
    assert (edges[0][0], edges[-1][1]) == EVERYBODY
    assert all(before[1] == after[0] for before, after in pairwise(edges))
    assert sum(device_ages.mark_stale(session, part, 60) for part in parts) == 1


def test_devices_not_seen_for_longer_are_forgotten_in_batches(session, old_and_new, monkeypatch):
    monkeypatch.setattr(device_ages, "MOST_AT_ONCE", 1)
    assert device_ages.forget_unseen(session, EVERYBODY, 58) == 1
    assert device_ages.forget_unseen(session, EVERYBODY, 58) == 1
    assert device_ages.forget_unseen(session, EVERYBODY, 58) == 0
    query = text("SELECT gone_why, address, address_hash FROM device WHERE gone_at IS NOT NULL")
    assert session.execute(query).all() == [("unseen", "", b"")] * 2
    assert estimate(session) == 1


def test_a_browser_that_was_forgotten_can_come_back_at_its_old_address(session):
    endpoint = "https://push.example/1"
    reader = a.a_reader(session)
    registration = Registration(provider="webpush", address=endpoint, kind="endpoint")
    longer_ago = datetime.now(UTC) - timedelta(days=300)
    first, _ = devices.register(session, reader.id, registration, longer_ago)
    assert device_ages.forget_unseen(session, EVERYBODY, 270) == 1
    second, is_new = devices.register(session, reader.id, registration, datetime.now(UTC))
    assert is_new
    assert second.id != first.id
    assert [device.id for device in devices.live(session, reader.id)] == [second.id]


def test_an_imported_device_counts_from_its_import(session):
    reader = a.a_reader(session)
    registration = Registration(provider="apns", address="aa", app="apns")
    devices.add_many(session, [(reader.id, registration)], datetime.now(UTC))
    device_ages.mark_stale(session, EVERYBODY, 60)
    assert device_ages.forget_unseen(session, EVERYBODY, 270) == 0
    assert estimate(session) == 1
