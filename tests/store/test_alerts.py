"""What batches add up to, and what people's verbs write, on a real PostgreSQL."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState, Kind
from service.domain.delivery import Delivery, State
from service.domain.errors import AlreadyAlerted
from service.domain.new_alerts import CANARY
from service.domain.totals import Totals, timing
from service.store.alerts import alert_totals, alert_transitions, alerts, planning, story_alerts
from service.store.deliveries import dead_letters, device_reports
from service.store.readers import audience, receipts
from service.store.readers.receipts import Mark
from service.store.session import transaction
from service.store.stories import stories
from tests import builders as a

PENDING, RETRYING, ACCEPTED = State.PENDING, State.RETRYING, State.ACCEPTED
GONE, EXPIRED, BURIED, CANCELLED = State.GONE, State.EXPIRED, State.BURIED, State.CANCELLED
UNKNOWN = Delivery(RETRYING, unknown=True, attempts=1)
LATER = timedelta(seconds=1)


def domain(session, row):
    session.expire_all()
    found = alerts.get(session, row.id)
    assert found is not None
    return found


def test_an_alert_reads_back_as_it_was_kept(session):
    story = a.a_story(session)
    kept = domain(session, a.an_alert(session, story, ttl_s=90, topics=["world"]))
    session.execute(text("DELETE FROM alert"))
    alerts.add(session, kept)
    assert alerts.get(session, kept.id) == kept
    assert (kept.ttl, kept.topics) == (timedelta(seconds=90), ("world",))


def test_the_second_first_alert_of_a_story_is_refused_and_names_the_first(session):
    story = a.a_story(session)
    first = a.an_alert(session, story)
    second = domain(session, a.an_alert(session, a.a_story(session)))
    session.execute(text("DELETE FROM alert WHERE id = :i"), {"i": second.id})
    with pytest.raises(AlreadyAlerted) as refused:
        alerts.add(session, replace(second, story_id=story.id))
    assert refused.value.first_id == first.id
    alerts.add(session, replace(second, story_id=story.id, dry_run=True))


def test_a_report_adds_the_batches_up_by_provider(session):
    alert = a.an_alert(session, a.a_story(session), state="sending")
    a.a_batch(session, alert, [ACCEPTED, ACCEPTED, GONE, PENDING], progress=[120, 1, 400, 1])
    a.a_batch(session, alert, [BURIED, UNKNOWN], provider="fcm", n=1)
    a.a_batch(session, alert, [ACCEPTED, EXPIRED, CANCELLED], n=2, progress=[120, 1])
    report = alerts.report(session, alert.id)
    assert report.by_provider == {
        "apns": Totals(pending=1, accepted=3, gone=1, expired=1, cancelled=1),
        "fcm": Totals(retrying=1, buried=1),
    }
    assert report.totals.planned == 9
    assert report.timing == timing([(120, 2), (400, 1)])


def test_an_alert_that_is_not_planned_yet_reports_zeros(session):
    alert = a.an_alert(session, a.a_story(session), state="scheduled")
    report = alerts.report(session, alert.id)
    assert report.totals == Totals()
    assert report.by_provider == {}
    assert report.timing.first_ms is None
    assert (report.shown, report.opened) == (0, 0)


def test_a_scheduled_alert_follows_its_storys_words_unless_it_has_its_own(session):
    story = a.a_story(session, headline="New", summary="Newer")
    free = a.an_alert(session, story, state="scheduled", title=None, body=None)
    fixed = a.an_alert(session, a.a_story(session), title="Own", body="Mine")
    half = a.an_alert(session, a.a_story(session, summary="Sum"), title="Own", body=None)
    words = {r.alert.id: (r.alert.title, r.alert.body) for r in alerts.page(session, None, 9).items}
    assert words == {
        free.id: ("New", "Newer"),
        fixed.id: ("Own", "Mine"),
        half.id: ("Own", "Sum"),
    }


def test_pages_hold_every_alert_once_the_newest_first(session):
    same = datetime.now(UTC)
    made = [a.an_alert(session, a.a_story(session), created_at=same).id for _ in range(5)]
    made += [
        a.an_alert(session, a.a_story(session), created_at=same - n * LATER).id for n in (1, 2)
    ]
    seen, cursor = [], None
    while True:
        found = alerts.page(session, cursor, 2)
        seen += [report.alert.id for report in found.items]
        cursor = found.next
        if cursor is None:
            break
    assert seen == sorted(made[:5], reverse=True) + made[5:]


# --- what happened to one device ---


@pytest.fixture
def device(session):
    return a.a_device(session, a.a_reader(session, id=150), provider="apns")


def sharded(session, **given):
    alert = a.an_alert(session, a.a_story(session), state="sending", **given)
    for n, (lo, hi) in enumerate([(0, 100), (100, 200), (200, 300)]):
        a.a_shard(session, alert, n=n, lo=lo, hi=hi)
    return alert


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        (PENDING, None),
        (ACCEPTED, None),
        (UNKNOWN, "busy"),
        (GONE, "apns said it is gone"),
        (BURIED, "refused: 400 BadTopic"),
        (CANCELLED, "stopped by somebody"),
        (EXPIRED, "The deadline passed"),
    ],
)
def test_one_devices_fate_comes_with_its_reason(session, device, delivery, reason):
    alert = sharded(session, stop_reason="stopped by somebody")
    a.a_batch(session, alert, [PENDING, delivery], shard_n=1, device_ids=[7, device.id])
    device.gone_why = "apns said it is gone"
    session.flush()
    place = {"a": alert.id}
    session.execute(
        text("INSERT INTO retry VALUES (:a, 1, 0, 1, now(), 'busy'), (:a, 1, 0, 0, now(), 'x')"),
        place,
    )
    dead_letters.bury(session, alert.id, 1, 0, "apns", "refused", "400 BadTopic", [1])
    dead_letters.bury(session, alert.id, 1, 0, "apns", "another", "", [0])
    fate = device_reports.report(session, domain(session, alert), device.id)
    expected = delivery.state if isinstance(delivery, Delivery) else delivery
    assert (fate.state, fate.provider) == (expected, "apns")
    assert fate.unknown == (delivery is UNKNOWN)
    assert fate.reason == reason or (reason and fate.reason.startswith(reason))


@pytest.mark.parametrize("state", [EXPIRED, CANCELLED])
def test_what_ended_with_the_alert_keeps_its_last_reason(session, device, state):
    alert = sharded(session, stop_reason="Stopped by somebody.")
    a.a_batch(session, alert, [state], shard_n=1, device_ids=[device.id])
    session.flush()
    why = "not sent: the certificate is unknown"
    session.execute(
        text("INSERT INTO retry VALUES (:a, 1, 0, 0, now(), :why)"), {"a": alert.id, "why": why}
    )
    fate = device_reports.report(session, domain(session, alert), device.id)
    assert fate.reason.endswith("The last attempt: not sent: the certificate is unknown")


def test_a_report_says_by_provider_why_deliveries_were_tried_in_vain(session):
    alert = sharded(session)
    tried = {"started_at": datetime.now(UTC)}
    a.a_batch(session, alert, [EXPIRED] * 3, provider="apns", **tried)
    a.a_batch(session, alert, [ACCEPTED] * 3, provider="fcm", n=1, **tried)
    a.a_batch(session, alert, [EXPIRED], provider="webpush", n=2)
    session.flush()
    for position, why in enumerate(["not sent: no route", "not sent: no route", "HTTP 503"]):
        values = {"a": alert.id, "p": position, "why": why}
        session.execute(text("INSERT INTO retry VALUES (:a, 0, 0, :p, now(), :why)"), values)
    report = alerts.report(session, alert.id)
    assert report is not None
    assert report.causes == {"apns": "not sent: no route"}


def test_an_erased_device_is_still_found_in_its_batch(session, device):
    alert = sharded(session)
    a.a_batch(session, alert, [ACCEPTED], shard_n=1, device_ids=[device.id])
    device_id = device.id
    session.execute(text("DELETE FROM reader"))
    assert device_reports.report(session, domain(session, alert), device_id).state is ACCEPTED


def test_a_device_outside_the_audience_has_no_fate(session, device):
    alert = sharded(session)
    a.a_batch(session, alert, [ACCEPTED], shard_n=1)
    assert device_reports.report(session, domain(session, alert), device.id) is None


def test_a_corrections_device_is_found_by_the_shards_of_its_root(session, device):
    root = sharded(session)
    correction = a.an_alert(
        session, a.a_story(session), kind="update", source_alert_id=root.id, state="sending"
    )
    for n in range(3):
        a.a_shard(session, correction, n=n, lo=n, hi=n + 1)
    a.a_batch(session, correction, [ACCEPTED], shard_n=1, device_ids=[device.id])
    found = device_reports.find(session, domain(session, correction), device.id)
    assert (found.shard_n, found.delivery.state) == (1, ACCEPTED)


# --- stop, overtake, void ---


@pytest.mark.parametrize("state", ["planning", "sending"])
def test_a_stop_is_written_at_once_and_settled_by_others(session, state):
    alert = a.an_alert(session, a.a_story(session), state=state)
    alert_transitions.stop(session, domain(session, alert), "enough", datetime.now(UTC))
    stopped = domain(session, alert)
    assert (stopped.state, stopped.stop_reason) == (AlertState.STOPPED, "enough")
    assert stopped.finished_at is None
    assert alerts.first_of(session, alert.story_id) is not None


def test_a_scheduled_alert_that_is_stopped_leaves_its_place_at_once(session):
    alert = a.an_alert(session, a.a_story(session), state="scheduled")
    now = datetime.now(UTC)
    alert_transitions.stop(session, domain(session, alert), "enough", now)
    assert domain(session, alert).finished_at == now
    assert alerts.first_of(session, alert.story_id) is None
    a.an_alert(session, session.get(type(a.a_story(session)), alert.story_id))


def a_chain(session, state="sending", **of_correction):
    story = a.a_story(session)
    root = a.an_alert(session, story, state=state, created_at=datetime.now(UTC) - LATER)
    correction = a.an_alert(session, story, kind="update", source_alert_id=root.id, **of_correction)
    return story, root, correction


def overtake(session, row):
    alert_transitions.stop_replaced_alerts(session, domain(session, row), datetime.now(UTC))


def test_a_correction_in_the_middle_stops_its_root_and_takes_over_the_rest(session):
    _, root, correction = a_chain(session)
    overtake(session, correction)
    assert domain(session, root).state is AlertState.STOPPED
    assert domain(session, root).stop_reason == f"corrected by {correction.id}"
    assert domain(session, correction).takes_over


def test_a_correction_of_a_finished_alert_leaves_it_finished_and_takes_nothing_over(session):
    _, root, correction = a_chain(session, state="finished")
    overtake(session, correction)
    assert domain(session, root).state is AlertState.FINISHED
    assert not domain(session, correction).takes_over


def test_a_second_correction_inherits_whom_the_first_took_over(session):
    story, root, first = a_chain(session)
    overtake(session, first)
    second = a.an_alert(session, story, kind="update", source_alert_id=root.id)
    overtake(session, second)
    assert domain(session, first).state is AlertState.STOPPED
    assert domain(session, second).takes_over


def test_a_correction_stops_what_else_of_its_story_is_still_leaving(session):
    story, _, correction = a_chain(session, state="finished")
    wider = a.an_alert(session, story, kind="update", everyone=True, state="sending")
    later = a.an_alert(session, story, kind="update", everyone=True, state="scheduled")
    other = a.an_alert(session, a.a_story(session), state="sending")
    dry_run = a.an_alert(session, story, dry_run=True, state="sending")
    overtake(session, correction)
    states = [domain(session, row).state for row in (wider, later, other, dry_run)]
    assert states == ["stopped", "scheduled", "sending", "sending"]


def test_a_dry_correction_stops_nothing(session):
    _, root, dry_run = a_chain(session, dry_run=True)
    overtake(session, dry_run)
    assert domain(session, root).state is AlertState.SENDING
    assert domain(session, dry_run).takes_over


def test_a_withdrawal_stops_its_chain_and_nothing_else(session):
    story, root, correction = a_chain(session)
    wider = a.an_alert(session, story, kind="update", everyone=True, state="sending")
    withdrawal = a.an_alert(session, story, kind="withdrawal", source_alert_id=root.id)
    overtake(session, withdrawal)
    states = [domain(session, row).state for row in (root, correction, wider)]
    assert states == ["stopped", "stopped", "sending"]
    assert not domain(session, withdrawal).takes_over


@pytest.mark.parametrize(
    ("state", "deliveries", "freed"),
    [
        ("stopped", [CANCELLED, GONE], True),
        ("expired", [EXPIRED], True),
        ("stopped", [], True),
        ("stopped", [CANCELLED, ACCEPTED], False),
        ("stopped", [Delivery(CANCELLED, unknown=True, attempts=1)], False),
        ("stopped", [CANCELLED, PENDING], False),
        ("finished", [BURIED], False),
        ("sending", [CANCELLED], False),
    ],
)
def test_a_first_alert_that_reached_nobody_frees_its_story(session, state, deliveries, freed):
    alert = a.an_alert(session, a.a_story(session), state=state)
    if deliveries:
        a.a_batch(session, alert, deliveries)
    assert alert_transitions.free_story_if_nothing_accepted(session, alert.id) is freed
    assert (alerts.first_of(session, alert.story_id) is None) is freed


def test_a_corrected_alert_keeps_its_place_for_its_correction(session):
    story, root, correction = a_chain(session)
    a.a_batch(session, root, [CANCELLED])
    overtake(session, correction)
    assert not alert_transitions.free_story_if_nothing_accepted(session, root.id)
    alert_transitions.stop(session, domain(session, correction), "enough", datetime.now(UTC))
    assert alert_transitions.free_story_if_nothing_accepted(session, correction.id)
    assert alerts.first_of(session, story.id) is None


def test_a_correction_that_arrived_keeps_the_place(session):
    story, root, correction = a_chain(session)
    a.a_batch(session, correction, [ACCEPTED])
    overtake(session, correction)
    alert_transitions.stop(session, domain(session, correction), "enough", datetime.now(UTC))
    assert not alert_transitions.free_story_if_nothing_accepted(session, correction.id)
    assert alerts.first_of(session, story.id).id == root.id


def test_a_correction_is_estimated_by_whom_it_would_reach(session):
    _, root, correction = a_chain(session)
    a.a_batch(
        session, root, [ACCEPTED, UNKNOWN, CANCELLED, GONE, BURIED], device_ids=[1, 2, 3, 4, 5]
    )
    a.a_batch(session, correction, [ACCEPTED, CANCELLED], device_ids=[3, 1])
    a.a_batch(session, root, [ACCEPTED], provider="hms", n=1)
    members = [domain(session, root), domain(session, correction)]
    assert alert_totals.count_holders(session, members, ["apns"], takes_over=False) == {"apns": 3}
    a.a_batch(session, root, [PENDING, RETRYING, CANCELLED], n=2)
    assert alert_totals.count_holders(session, members, ["apns"], takes_over=True) == {"apns": 6}


# --- receipts ---


def test_marks_are_counted_once_each_however_often_they_come(session):
    alert = a.an_alert(session, a.a_story(session))
    a.a_batch(session, alert, [ACCEPTED] * 9)
    for position in (0, 8, 8, 3, 0):
        receipts.add_mark(session, alert.id, 0, 0, position, Mark.SHOWN)
    receipts.add_mark(session, alert.id, 0, 0, 8, Mark.OPENED)
    assert receipts.counts(session, [alert.id]) == {alert.id: receipts.Counts(shown=3, opened=1)}


def test_a_mark_beyond_the_batch_or_of_no_batch_is_nothing(session):
    alert = a.an_alert(session, a.a_story(session))
    a.a_batch(session, alert, [ACCEPTED] * 9)
    receipts.add_mark(session, alert.id, 0, 0, 9, Mark.SHOWN)
    receipts.add_mark(session, alert.id, 5, 0, 0, Mark.SHOWN)
    receipts.add_mark(session, a.an_id(), 0, 0, 0, Mark.SHOWN)
    assert receipts.counts(session, [alert.id]) == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Mark)), max_size=30))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_receipts_count_distinct_devices(engine, said):
    with Session(engine) as session:
        alert = a.an_alert(session, a.a_story(session))
        a.a_batch(session, alert, [ACCEPTED] * 10)
        for position, mark in said:
            receipts.add_mark(session, alert.id, 0, 0, position, mark)
        found = receipts.counts(session, [alert.id]).get(alert.id, receipts.NOTHING)
        session.rollback()
    assert found.shown == len({position for position, mark in said if mark is Mark.SHOWN})
    assert found.opened == len({position for position, mark in said if mark is Mark.OPENED})


def test_simultaneous_marks_are_all_kept(engine):
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session))
        a.a_batch(session, alert, [ACCEPTED] * 200)
    start = threading.Barrier(8)

    def say(worker):
        start.wait()
        for position in range(worker, 200, 8):
            with transaction(engine) as session:
                receipts.add_mark(session, alert.id, 0, 0, position, Mark.SHOWN)

    threads = [threading.Thread(target=say, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with transaction(engine) as session:
        assert receipts.counts(session, [alert.id])[alert.id].shown == 200


# --- two at once ---


def wait_for_a_lock(engine):
    """Return when some transaction waits for another one; other tests may share the server."""
    until = time.monotonic() + 5
    waiting = text(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    while time.monotonic() < until:
        with transaction(engine) as session:
            if session.execute(waiting).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def test_a_second_send_push_in_the_middle_of_the_plan_is_refused_and_stops_nothing(engine):
    """The plan writes the alert's row twice; the second one asks for the story it belongs to."""
    with transaction(engine) as session:
        story = a.a_story(session)
        first = a.an_alert(session, story)
        second = replace(alerts.get(session, first.id), id=a.an_id())
    refused = []

    def send(session):
        stories.lock(session, story.id)
        alerts.add(session, second)

    def press():
        with transaction(engine) as session, pytest.raises(AlreadyAlerted) as refusal:
            send(session)
        refused.append(refusal.value.first_id)

    with transaction(engine) as planning_session:
        alert = planning.lock_alert_to_plan(planning_session, first.id)
        columns = audience.frozen_columns(None)
        alert_transitions.freeze(planning_session, alert.id, alert.now, columns)
        editor = threading.Thread(target=press)
        editor.start()
        wait_for_a_lock(engine)
        alert_transitions.begin_sending(planning_session, first.id)
    editor.join()
    assert refused == [first.id]


# --- a million deliveries ---


def test_a_report_on_a_million_deliveries_takes_milliseconds(session):
    alert = a.an_alert(session, a.a_story(session), state="sending")
    session.execute(
        text(
            "INSERT INTO batch (alert_id, shard_n, n, provider, device_ids, states, counts, "
            "progress) SELECT :a, s, 0, (ARRAY['apns', 'fcm', 'webpush'])[s % 3 + 1], "
            "ARRAY(SELECT (random() * 9e18)::bigint + s FROM generate_series(1, 750)), "
            "decode(repeat('12', 750), 'hex'), ARRAY[0, 0, 750, 0, 0, 0, 0], "
            "ARRAY[s * 60, 250, s * 60 + 250, 400, s * 60 + 500, 100] "
            "FROM generate_series(0, 1399) s"
        ),
        {"a": alert.id},
    )
    session.execute(text("ANALYZE batch"))
    took = []
    for _ in range(7):
        begun = datetime.now(UTC)
        report = alerts.report(session, alert.id)
        took.append((datetime.now(UTC) - begun).total_seconds())
    assert report.totals == Totals(accepted=1_050_000)
    assert report.timing.last_ms == 1399 * 60 + 500
    print(f"a report on 1,050,000 deliveries: {min(took) * 1000:.1f} ms")
    assert min(took) < 0.1, took
    assert Kind.FIRST is report.alert.kind


def test_the_desk_shows_no_canary_as_a_storys_alert(session):
    story = a.a_story(session)
    a.an_alert(session, story, dry_run=True, created_by=CANARY)
    assert story_alerts.last_alerts(session, [story.id]) == {}
