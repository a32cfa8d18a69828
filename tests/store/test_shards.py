from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import text

from service.domain.audience import Audience
from service.domain.subscription import Urgency
from service.store.alerts import alert_totals, unfinished_alerts
from service.store.deliveries import batch_claims, shards
from service.store.readers import audience
from service.store.schema import ID_LIMIT
from tests import builders as a
from workers.provider_kit.endpoints import AllowList

PROVIDERS = ["apns", "fcm", "webpush"]


def planned(session, alert, story, ranges=((0, ID_LIMIT),)):
    """Plan an alert of `story` by hand."""
    now = datetime.now(UTC)
    frozen = audience.freeze(
        session, story.id, Audience.of_story(story.id, story.topics, Urgency.NORMAL, now)
    )
    session.execute(
        text("UPDATE alert SET started_at = :at, topic_ids = :t, above = :up WHERE id = :a"),
        {"at": now, "t": frozen.topic_ids, "up": frozen.above, "a": alert.id},
    )
    shards.add(session, alert.id, list(ranges))
    return shards.planned_alert(session, alert.id)


def devices_in(session, alert):
    rows = session.execute(
        text("SELECT unnest(device_ids) FROM batch WHERE alert_id = :a"), {"a": alert.id}
    )
    return sorted(rows.scalars())


@pytest.mark.parametrize("devices", [0, 1, 499, 501, 9_999, 10_501, 200_000, 12_345_678])
def test_shards_cover_the_id_space_without_gaps_or_overlaps(devices):
    ranges = shards.cut_id_space(devices, 10_000)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == ID_LIMIT
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    assert all(lo < hi for lo, hi in ranges)


def test_the_first_shard_is_small_so_that_the_first_push_leaves_early():
    lo, hi = shards.cut_id_space(200_000, 10_000)[0]
    assert (hi - lo) * 200_000 // ID_LIMIT in range(490, 511)


def test_a_device_is_packed_once_however_many_topics_match(session):
    topics = [a.a_topic(session, path) for path in ("sport", "sport/tennis", "world")]
    reader = a.a_reader(session)
    device = a.a_device(session, reader)
    for topic in topics:
        a.a_follow(session, reader, topic)
    story = a.a_story(session, topics=["sport/tennis", "world"])
    alert = a.an_alert(session, story)
    assert shards.fan_out(session, planned(session, alert, story), PROVIDERS)
    assert devices_in(session, alert) == [device.id]


def test_a_shard_is_packed_once_however_often_it_is_asked_for(session):
    topic = a.a_topic(session)
    reader = a.a_reader(session)
    device = a.a_device(session, reader)
    a.a_follow(session, reader, topic)
    story = a.a_story(session)
    alert = a.an_alert(session, story)
    running = planned(session, alert, story)
    assert shards.fan_out(session, running, PROVIDERS, 0)
    assert not shards.fan_out(session, running, PROVIDERS, 0)
    assert devices_in(session, alert) == [device.id]


RESCANS = ("hashjoin", "mergejoin", "hashagg", "sort", "material", "memoize", "bitmapscan")
"""Ways that the planner is to leave alone, so that it runs a subquery again for each row."""


def test_one_shard_is_taken_whatever_the_plan(session):
    story = a.a_story(session)
    alert = planned(session, a.an_alert(session, story), story, shards.cut_evenly(50))
    for way in RESCANS:
        session.execute(text(f"SET LOCAL enable_{way} = off"))
    for left in reversed(range(50)):
        assert shards.fan_out(session, alert, PROVIDERS)
        assert len(shards.open_shards(session, alert.alert_id, 100)) == left
    assert not shards.fan_out(session, alert, PROVIDERS)


def test_batches_hold_a_thousand_devices_of_one_provider_each(session):
    topic = a.a_topic(session)
    story = a.a_story(session)
    alert = a.an_alert(session, story)
    reader = a.a_reader(session)
    a.a_follow(session, reader, topic)
    for n in range(2101):
        a.a_device(session, reader, provider="apns" if n < 2100 else "fcm")
    shards.fan_out(session, planned(session, alert, story), PROVIDERS)
    rows = session.execute(
        text(
            "SELECT provider, cardinality(device_ids), octet_length(states), counts[1], n "
            "FROM batch WHERE alert_id = :a ORDER BY n"
        ),
        {"a": alert.id},
    )
    assert [tuple(row) for row in rows] == [
        ("apns", 1000, 1000, 1000, 0),
        ("apns", 1000, 1000, 1000, 1),
        ("apns", 100, 100, 100, 2),
        ("fcm", 1, 1, 1, 3),
    ]


def test_a_tombstone_and_an_unconfigured_provider_are_in_no_batch(session):
    topic = a.a_topic(session)
    reader = a.a_reader(session)
    a.a_follow(session, reader, topic)
    a.a_device(session, reader, gone_at=a.NOON)
    a.a_device(session, reader, provider="hms")
    story = a.a_story(session)
    alert = a.an_alert(session, story)
    shards.fan_out(session, planned(session, alert, story), PROVIDERS)
    assert devices_in(session, alert) == []


def test_the_rest_of_a_stopped_alert_is_accounted_for_as_cancelled(session):
    topic = a.a_topic(session)
    reader = a.a_reader(session)
    device = a.a_device(session, reader)
    a.a_follow(session, reader, topic)
    story = a.a_story(session)
    alert = a.an_alert(session, story)
    planned(session, alert, story)
    session.execute(text("UPDATE alert SET state = 'stopped'"))
    shards.fan_out(session, shards.planned_alert(session, alert.id), PROVIDERS)
    row = session.execute(text("SELECT device_ids, counts, finished_at FROM batch")).one()
    assert row.device_ids == [device.id]
    assert row.counts == [0, 0, 0, 0, 0, 0, 1]
    assert row.finished_at is not None


@pytest.mark.parametrize(("takes_over", "expected"), [(False, [2, 4]), (True, [0, 1, 2, 4, 6])])
def test_a_correction_goes_to_those_who_have_the_first_or_may_have_it(
    session, takes_over, expected
):
    story = a.a_story(session)
    source = a.an_alert(session, story, state="stopped")
    ids = list(range(100, 107))
    # pending, retrying, accepted, gone, expired but unknown, buried, cancelled
    states = bytes([0, 1, 2, 3, 4 | 8, 5, 6])
    session.execute(
        text(
            "INSERT INTO batch (alert_id, shard_n, n, provider, device_ids, states, counts) "
            "VALUES (:a, 0, 0, 'fcm', :ids, :states, '{1,1,1,1,1,1,1}')"
        ),
        {"a": source.id, "ids": ids, "states": states},
    )
    correction = a.an_alert(
        session,
        story,
        kind="update",
        source_alert_id=source.id,
        takes_over=takes_over,
        started_at=a.NOON,
    )
    shards.add(session, correction.id, [(0, 1)])
    shards.fan_out(session, shards.planned_alert(session, correction.id), PROVIDERS)
    assert devices_in(session, correction) == [ids[n] for n in expected]


def test_batches_of_another_provider_are_not_claimed(session):
    story = a.a_story(session)
    alert = a.an_alert(session, story, state="sending")
    session.execute(
        text(
            "INSERT INTO batch (alert_id, shard_n, n, provider, device_ids, states, counts) "
            "VALUES (:a, 0, 0, 'fcm', '{1}', '\\x00', '{1,0,0,0,0,0,0}')"
        ),
        {"a": alert.id},
    )
    assert batch_claims.claim(session, alert.id, "apns", lease_s=20) == []
    assert len(batch_claims.claim(session, alert.id, "fcm", lease_s=20)) == 1


@pytest.mark.parametrize("by_default", [True, False])
@pytest.mark.parametrize("choices", [(True, False, None), (None,)])
def test_what_readers_do_not_share_is_packed_apart_also_in_a_correction(
    session, by_default, choices
):
    topic = a.a_topic(session)
    shares = {}
    for choice in choices * 2:
        reader = a.a_reader(session, results=choice)
        a.a_follow(session, reader, topic)
        shares[a.a_device(session, reader).id] = by_default if choice is None else choice
    story = a.a_story(session)
    alert = a.an_alert(session, story)
    first = planned(session, alert, story)
    assert shards.fan_out(session, first, PROVIDERS, results_by_default=by_default)
    session.execute(text("UPDATE batch SET states = decode(repeat('02', length(states)), 'hex')"))
    correction = a.an_alert(
        session, story, kind="update", source_alert_id=alert.id, started_at=a.NOON
    )
    shards.add(session, correction.id, [(0, 1)])
    second = shards.planned_alert(session, correction.id)
    assert shards.fan_out(session, second, PROVIDERS, results_by_default=by_default)
    for each in (alert, correction):
        values = {"a": each.id}
        query = text("SELECT unnest(device_ids), results FROM batch WHERE alert_id = :a")
        assert dict(map(tuple, session.execute(query, values))) == shares
        known = alert_totals.count_known(session, [each.id])
        assert known == {each.id: sum(shares.values())}


KNOWN = AllowList.parse(["*", "push.example:8443"]).pattern()
ENDPOINTS = {
    "https://fcm.googleapis.com/fcm/send/1": False,
    "https://updates.push.services.mozilla.com/wpush/v2/1": False,
    "https://push.example:8443/1": False,
    "https://push.example/1": True,
    "https://fcm.googleapis.com.evil.example/1": True,
    "https://evil.example/fcm.googleapis.com/": True,
    "https://notpush.services.mozilla.com/1": True,
}


def test_addresses_at_servers_that_nobody_named_are_packed_and_claimed_apart(session):
    topic = a.a_topic(session)
    reader = a.a_reader(session)
    a.a_follow(session, reader, topic)
    devices = {
        a.a_device(session, reader, provider="webpush", kind="endpoint", address=address).id: apart
        for address, apart in ENDPOINTS.items()
    }
    devices[a.a_device(session, reader).id] = False
    story = a.a_story(session)
    alert = a.an_alert(session, story)
    known = {"webpush": KNOWN}
    shards.fan_out(session, planned(session, alert, story), PROVIDERS, known_servers=known)
    rows = session.execute(
        text("SELECT unnest(device_ids), strangers FROM batch WHERE alert_id = :a"), {"a": alert.id}
    )
    assert dict(map(tuple, rows)) == devices

    def claimed(*strangers):
        batches = batch_claims.claim(
            session, alert.id, "webpush", lease_s=20, limit=9, strangers=strangers
        )
        return {device for batch in batches for device in batch.device_ids}

    assert claimed(True) == {device for device, apart in devices.items() if apart}
    assert len(claimed(False)) == 3
    assert unfinished_alerts.alerts_to_deliver(session, ["webpush"], strangers=True) == []


def test_nothing_is_known_of_devices_whose_pushes_carry_no_receipts(session):
    topic = a.a_topic(session)
    reader = a.a_reader(session)
    a.a_follow(session, reader, topic)
    for provider in ("fcm", "hms"):
        a.a_device(session, reader, provider=provider)
    story = a.a_story(session)
    alert = a.an_alert(session, story)
    alert_in_plan = planned(session, alert, story)
    shards.fan_out(session, alert_in_plan, ["fcm", "hms"], without_receipts=["hms"])
    rows = session.execute(
        text("SELECT provider, results FROM batch WHERE alert_id = :a"), {"a": alert.id}
    )
    assert dict(map(tuple, rows)) == {"fcm": True, "hms": False}
