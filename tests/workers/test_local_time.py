"""An alert that leaves at a time of day where each reader is: planned, stopped, corrected."""

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.domain.pace.local_release import LocalRelease, MissedZones
from service.store.alerts import alerts
from service.store.deliveries import batch_closing, shards
from service.store.operations import gauges, holds
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context, Settings
from workers import plan

HOME = "Europe/Berlin"
ZONES = ("Asia/Tokyo", "Asia/Kathmandu", "America/Los_Angeles")
HOUR = timedelta(hours=1)


@pytest.fixture
def process(engine):
    with transaction(engine) as session:
        for zone in (*ZONES, HOME, "UTC"):
            reader = a.a_reader(session, timezone=zone)
            for _ in range(2):
                a.a_device(session, reader)
    return Context(engine, Settings(timezone=HOME))


@pytest.fixture
def local():
    """A time that has just passed in Nepal, wherever the day has come elsewhere."""
    now = datetime.now(UTC) + timedelta(hours=5, minutes=45)
    passed = max(now - HOUR, datetime.combine(now, time.min, UTC))
    return LocalRelease(time_of_day=time(passed.hour, passed.minute), home_zone=HOME)


def planned(process, local, **values):
    """Plan an alert to everyone, all its shards; returns its report."""
    with transaction(process.engine) as session:
        row = a.an_alert(
            session,
            values.pop("story", None) or a.a_story(session),
            everyone=True,
            local_release=local.to_json(),
            **values,
        )
    plan.plan_alert(process, row.id)
    with transaction(process.engine) as session:
        alert = shards.planned_alert(session, row.id)
        while shards.fan_out(session, alert, process.names):
            pass
        return alerts.report(session, row.id)


def batches(process, alert_id):
    """Return (zone, release, deadline, devices) of each batch, the first release first."""
    query = text(
        "SELECT zone, claimable_at, expires_at, cardinality(device_ids) FROM batch "
        "WHERE alert_id = :a ORDER BY claimable_at, zone"
    )
    with transaction(process.engine) as session:
        return [tuple(row) for row in session.execute(query, {"a": alert_id})]


def stop(process, alert_id):
    with transaction(process.engine) as session:
        session.execute(text("UPDATE alert SET state = 'stopped'"))
        batch_closing.close_open_batches(session, alert_id, State.CANCELLED)


def test_every_zone_has_its_release_and_lives_its_own_time(process, local):
    report = planned(process, local)
    found = batches(process, report.alert.id)
    started_at = report.alert.started_at
    releases = {zone: local.release_in(zone, started_at) for zone in (*ZONES, HOME)}
    assert {zone: release for zone, release, _, _ in found} == releases
    assert all(deadline == release + report.alert.ttl for _, release, deadline, _ in found)
    assert {zone: devices for zone, *_, devices in found} == dict.fromkeys(ZONES, 2) | {HOME: 4}
    assert report.alert.expires_at == local.last_release(started_at) + report.alert.ttl


def test_the_report_says_where_it_leaves_next_and_who_waits(process, local):
    report = planned(process, local)
    found = [(each.zone, each.devices) for each in report.releases]
    assert found == [(zone, devices) for zone, *_, devices in batches(process, report.alert.id)]
    with transaction(process.engine) as session:
        session.execute(text("UPDATE batch SET started_at = now() WHERE zone = :z"), {"z": HOME})
        left = alerts.report(session, report.alert.id).releases
    assert [each.zone for each in left] == [zone for zone, _ in found if zone != HOME]


def test_where_the_time_has_passed_it_leaves_at_once_if_the_editor_chose_so(process, local):
    now = LocalRelease(time_of_day=local.time_of_day, when_missed=MissedZones.NOW)
    report = planned(process, now)
    started_at = report.alert.started_at
    passed = [zone for zone in ZONES if now.release_in(zone, started_at) == started_at]
    at_once = [
        devices for _, release, _, devices in batches(process, report.alert.id) if _due(release)
    ]
    at_home = 4 * (now.release_in(HOME, started_at) == started_at)
    assert sum(at_once) == 2 * len(passed) + at_home
    assert "Asia/Kathmandu" in passed
    assert all(each.zone not in passed for each in report.releases)


def _due(release):
    return release <= datetime.now(UTC)


def test_what_waits_for_its_zone_is_not_old_and_no_release_of_a_provider_hurries_it(process, local):
    report = planned(process, local)
    before = batches(process, report.alert.id)
    with transaction(process.engine) as session:
        session.execute(text("UPDATE alert SET created_at = created_at - interval '1 h'"))
        assert gauges.waiting(session)["apns"].oldest_seconds == 0
        holds.wake(session, "apns")
    assert batches(process, report.alert.id) == before


def test_stopping_it_ends_the_zones_that_wait(process, local):
    report = planned(process, local)
    stop(process, report.alert.id)
    with transaction(process.engine) as session:
        report = alerts.report(session, report.alert.id)
    assert (report.totals.planned, report.totals.cancelled) == (10, 10)
    assert report.releases == ()


def test_a_correction_leaves_at_once_where_the_alert_was_and_waits_with_the_other_zones(
    process, local
):
    root = planned(process, local)
    alert_id = root.alert.id
    with transaction(process.engine) as session:
        session.execute(
            text(
                "UPDATE batch SET started_at = now() - interval '1 h', states = '\\x0202' "
                "WHERE zone = 'Asia/Tokyo'"
            )
        )
        story = a.StoryRow(id=root.alert.story_id)
    before = batches(process, alert_id)
    stop(process, alert_id)
    with transaction(process.engine) as session:
        session.execute(text("UPDATE alert SET settled = true"))
    correction = planned(
        process, local, story=story, kind="update", source_alert_id=alert_id, takes_over=True
    )
    found = {zone: release for zone, release, _, _ in batches(process, correction.alert.id)}
    assert _due(found.pop("Asia/Tokyo"))
    assert found == {zone: release for zone, release, _, _ in before if zone != "Asia/Tokyo"}
    assert correction.totals.planned == 10
