"""Who gets a correction or a withdrawal: whoever holds any version, and nobody twice."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.alert import AlertState
from service.domain.delivery import Delivery, State
from service.store.alerts import alert_transitions, alerts, planning
from service.store.deliveries import shards
from tests import builders as a

PENDING, RETRYING, ACCEPTED = State.PENDING, State.RETRYING, State.ACCEPTED
GONE, EXPIRED, BURIED, CANCELLED = State.GONE, State.EXPIRED, State.BURIED, State.CANCELLED
PROVIDERS = ["apns", "fcm"]
BEGUN = datetime.now(UTC)


@pytest.fixture
def story(session):
    return a.a_story(session)


@pytest.fixture
def root(session, story):
    """An alert that was stopped in the middle by a correction; its one shard is packed."""
    alert = a.an_alert(session, story, state="stopped", started_at=BEGUN, created_at=BEGUN)
    a.a_shard(session, alert)
    deliveries = {
        1: ACCEPTED,
        2: Delivery(RETRYING, unknown=True, attempts=1),
        3: Delivery(EXPIRED, unknown=True, attempts=1),
        4: GONE,
        5: BURIED,
        6: CANCELLED,
        7: CANCELLED,
    }
    a.a_batch(session, alert, list(deliveries.values()), device_ids=list(deliveries))
    a.a_batch(session, alert, [ACCEPTED], device_ids=[99], n=1, provider="hms")
    return alert


def of_chain(session, root, kind="update", **given):
    alert = a.an_alert(
        session,
        session.get(a.StoryRow, root.story_id),
        kind=kind,
        source_alert_id=root.id,
        started_at=BEGUN,
        **given,
    )
    a.a_shard(session, alert, lo=0, hi=1, done=False)
    return alert


def fan_out(session, alert):
    """Fan an alert's one shard out; returns the devices by number."""
    shards.fan_out(session, shards.planned_alert(session, alert.id), PROVIDERS, 0)
    return sorted(
        session.execute(
            text("SELECT unnest(device_ids) FROM batch WHERE alert_id = :a"), {"a": alert.id}
        ).scalars()
    )


def test_a_correction_goes_to_those_who_have_the_alert_or_may_have_it(session, root):
    assert fan_out(session, of_chain(session, root)) == [1, 2, 3]


def test_a_correction_in_the_middle_is_the_first_text_of_the_others(session, root):
    assert fan_out(session, of_chain(session, root, takes_over=True)) == [1, 2, 3, 6, 7]


def test_a_withdrawal_goes_to_those_who_have_any_version(session, root):
    correction = of_chain(session, root, takes_over=True, state="stopped")
    a.a_batch(session, correction, [BURIED, ACCEPTED, CANCELLED], device_ids=[1, 6, 7])
    assert fan_out(session, of_chain(session, root, "withdrawal")) == [1, 2, 3, 6]


def test_a_device_with_two_versions_gets_one_correction(session, root):
    correction = of_chain(session, root, takes_over=True)
    a.a_batch(session, correction, [ACCEPTED, ACCEPTED], device_ids=[1, 6])
    assert fan_out(session, of_chain(session, root, takes_over=True)) == [1, 2, 3, 6, 7]


def test_a_dry_run_counts_for_nobody(session, root):
    dry_run = of_chain(session, root, takes_over=True, dry_run=True)
    a.a_batch(session, dry_run, [ACCEPTED], device_ids=[7])
    assert fan_out(session, of_chain(session, root, "withdrawal")) == [1, 2, 3]


def test_a_correction_that_was_stopped_is_accounted_for_device_by_device(session, root):
    stopped = of_chain(session, root, state="stopped")
    assert fan_out(session, stopped) == [1, 2, 3]
    report = alerts.report(session, stopped.id)
    assert report.totals.cancelled == report.totals.planned == 3


@pytest.mark.parametrize(("state", "waits"), [("stopped", True), ("finished", False)])
def test_a_correction_waits_until_what_it_replaces_has_settled(session, story, state, waits):
    root = a.an_alert(session, story, state=state, settled=not waits, created_at=BEGUN)
    correction = a.an_alert(session, story, kind="update", source_alert_id=root.id)
    unplanned = planning.lock_alert_to_plan(session, correction.id)
    assert planning.is_replaced_alert_settling(session, unplanned) is waits


def test_a_correction_waits_for_other_stopped_alerts_of_its_story_too(session, story):
    source = a.an_alert(session, story, state="finished", settled=True, created_at=BEGUN)
    a.an_alert(session, story, kind="update", everyone=True, state="stopped", created_at=BEGUN)
    correction = a.an_alert(session, story, kind="update", source_alert_id=source.id)
    assert planning.is_replaced_alert_settling(
        session, planning.lock_alert_to_plan(session, correction.id)
    )


def test_a_scheduled_correction_stops_its_root_when_it_starts(session, story):
    root = a.an_alert(session, story, state="sending", started_at=BEGUN, created_at=BEGUN)
    correction = a.an_alert(
        session,
        story,
        kind="update",
        source_alert_id=root.id,
        state="scheduled",
        send_at=BEGUN - timedelta(seconds=1),
    )
    assert alert_transitions.start_scheduled(session, correction.id)
    session.expire_all()
    assert alerts.get(session, root.id).state is AlertState.STOPPED
    assert alerts.get(session, correction.id).takes_over
    assert not alert_transitions.start_scheduled(session, correction.id)
