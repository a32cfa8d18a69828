"""Alerts that leave over a time, in the tables: when their batches may be claimed."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.store.alerts import open_shares
from service.store.deliveries import batch_claims, late_releases, shards
from service.store.operations import gauges, holds
from tests import builders as a

MINUTE = timedelta(minutes=1)
READERS = 40
STEPS = 10


@pytest.fixture
def now(session):
    return session.execute(text("SELECT now()")).scalar_one()


@pytest.fixture
def alert(session, now):
    """An alert to everyone over ten minutes that is planned in ten shards, and all are packed."""
    for n in range(READERS):
        reader_id = (2 * n + 1) * shards.ID_LIMIT // (2 * READERS)
        a.a_device(session, a.a_reader(session, id=reader_id))
    return packed(session, now, everyone=True)


def packed(session, now, *, cut=STEPS, **given):
    values = {
        "state": "sending",
        "started_at": now,
        "expires_at": now + timedelta(hours=4),
        "topic_ids": [],
        "above": [],
        "spread_s": 600,
    }
    row = a.an_alert(session, a.a_story(session), **values | given)
    source = given.get("source_alert_id")
    ranges = shards.ranges_of_source(session, source) if source else shards.cut_evenly(cut)
    shards.add(session, row.id, ranges)
    pack(session, row.id)
    return row


def pack(session, alert_id):
    planned = shards.planned_alert(session, alert_id)
    while shards.fan_out(session, planned, ["apns"]):
        pass


def waits(session, alert, now):
    """Return devices, and the seconds until they are released, by shard."""
    rows = session.execute(
        text(
            "SELECT cardinality(device_ids), claimable_at FROM batch WHERE alert_id = :a "
            "ORDER BY shard_n, n"
        ),
        {"a": alert.id},
    )
    return [(devices, round((moment - now).total_seconds())) for devices, moment in rows]


def move(session, by, condition="true"):
    session.execute(
        text(f"UPDATE batch SET claimable_at = claimable_at + :by WHERE {condition}"), {"by": by}
    )


def test_every_device_is_in_one_batch_and_the_batches_are_released_evenly(session, alert, now):
    assert waits(session, alert, now) == [(READERS // STEPS, 60 * n) for n in range(STEPS)]
    ids = session.execute(text("SELECT unnest(device_ids) FROM batch")).scalars().all()
    assert sorted(ids) == sorted(session.execute(text("SELECT id FROM device")).scalars())


def test_only_what_is_released_is_claimed(session, alert):
    assert len(batch_claims.claim(session, alert.id, "apns", lease_s=20, limit=99)) == 1
    assert not batch_claims.has_claimable(session, alert.id, ["apns"])
    move(session, -MINUTE, "lease_token IS NULL")
    assert len(batch_claims.claim(session, alert.id, "apns", lease_s=20, limit=99)) == 1


def test_quiet_hours_are_judged_by_when_a_reader_is_reached(session, now):
    soon = (now + 5 * MINUTE).time().replace(tzinfo=None)
    later = (now + 60 * MINUTE).time().replace(tzinfo=None)
    for n in range(STEPS):
        reader_id = (2 * n + 1) * shards.ID_LIMIT // (2 * STEPS)
        reader = a.a_reader(session, id=reader_id, quiet_from=soon, quiet_to=later)
        a.a_device(session, reader)
    alert = packed(session, now, everyone=True)
    assert [seconds for _, seconds in waits(session, alert, now)] == [0, 60, 120, 180, 240]


def test_a_correction_leaves_at_once_to_whom_was_reached_and_waits_with_the_others(
    session, alert, now
):
    session.execute(text("UPDATE batch SET states = '\\x02020202' WHERE shard_n < 3"))
    session.execute(text("UPDATE alert SET state = 'stopped'"))
    session.execute(text("UPDATE alert SET started_at = started_at - interval '150 s'"))
    correction = packed(session, now, kind="update", source_alert_id=alert.id, takes_over=True)
    found = waits(session, correction, now)
    assert [seconds for _, seconds in found] == [0, 0, 0, 30, 90, 150, 210, 270, 330, 390]
    assert sum(devices for devices, _ in found) == READERS


def test_what_was_late_for_minutes_leaves_at_its_pace_and_not_all_at_once(session, alert, now):
    move(session, -5 * MINUTE)
    late_releases.move_late_releases(session, alert.id)
    assert [seconds for _, seconds in waits(session, alert, now)] == [60 * n for n in range(STEPS)]
    late_releases.move_late_releases(session, alert.id)
    assert waits(session, alert, now)[-1] == (4, 540)


def test_what_was_late_leaves_faster_where_it_would_expire_otherwise(session, alert, now):
    session.execute(
        text("UPDATE alert SET expires_at = :end"), {"end": now + timedelta(seconds=300)}
    )
    move(session, -5 * MINUTE)
    late_releases.move_late_releases(session, alert.id)
    assert [seconds for _, seconds in waits(session, alert, now)] == [30 * n for n in range(STEPS)]


def test_a_release_that_is_a_little_late_moves_nothing(session, alert, now):
    move(session, -timedelta(seconds=late_releases.LATE_S - 1))
    late_releases.move_late_releases(session, alert.id)
    assert waits(session, alert, now)[-1] == (4, 531)


def test_a_provider_that_is_released_gets_no_more_than_what_is_due(session, alert, now):
    move(session, MINUTE, "shard_n = 0")
    session.execute(text("UPDATE batch SET started_at = now() WHERE shard_n = 0"))
    assert [alert_id for alert_id, _ in holds.wake(session, "apns")] == [alert.id]
    found = [seconds for _, seconds in waits(session, alert, now)]
    assert found == [60 * n for n in range(STEPS)]


def test_what_is_not_due_yet_counts_as_waiting_but_is_not_old(session, alert):
    session.execute(text("UPDATE alert SET created_at = created_at - interval '1 h'"))
    waiting = gauges.waiting(session)["apns"]
    assert waiting.pending == READERS
    assert waiting.oldest_seconds < 5


def test_the_open_share_is_that_of_the_latest_alerts(session, now):
    assert open_shares.latest_open_share(session) is None
    ended = {"state": "finished", "finished_at": now - timedelta(hours=1), "started_at": now}
    for opened in (0, 100):
        row = a.an_alert(session, a.a_story(session), **ended)
        a.a_batch(session, row, [State.ACCEPTED] * 1000)
        marks = bytes(125) + bytes([255] * (opened // 8)) + bytes(125 - opened // 8)
        session.execute(
            text("INSERT INTO receipt (alert_id, shard_n, n, marks) VALUES (:a, 0, 0, :marks)"),
            {"a": row.id, "marks": marks},
        )
    assert open_shares.latest_open_share(session) == 96 / 2000
