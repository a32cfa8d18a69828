"""The chores: the canary, and how long deliveries are kept, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from service.domain.audience import Audience
from service.domain.subscription import Urgency
from service.store.alerts import alerts
from service.store.deliveries import retention
from service.store.operations import canary
from service.store.readers import audience, audience_counts, device_ages, receipts
from service.store.readers.receipts import Mark
from service.store.results import alert_results
from service.store.schema import ID_LIMIT
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context
from workers.upkeep import chores


def age(session, alert_id, what):
    session.execute(
        text(
            "UPDATE alert SET created_at = created_at - CAST(:what AS interval), "
            "finished_at = finished_at - CAST(:what AS interval) WHERE id = :a"
        ),
        {"a": alert_id, "what": what},
    )


def test_there_is_no_canary_without_a_story(session):
    assert canary.send_if_due(session, 10) is None


def test_a_canary_is_sent_when_the_last_is_half_as_old_as_would_alarm(session):
    a.a_story(session)
    first = canary.send_if_due(session, 10)
    assert first is not None
    assert canary.send_if_due(session, 10) is None
    age(session, first, "301 s")
    assert canary.send_if_due(session, 10) is not None


def test_a_canary_takes_no_storys_place_and_is_in_no_list(session):
    story = a.a_story(session)
    canary.send_if_due(session, 10)
    assert alerts.first_of(session, story.id) is None
    assert alerts.page(session, None, 50).items == []


def test_a_canary_is_for_the_followers_of_that_very_story(session):
    story = a.a_story(session, topics=["world"])
    of_story = a.a_topic(session, f"story/{story.id}", id=story.id)
    of_world = a.a_topic(session, "world")
    for topic in (of_story, of_world):
        reader = a.a_reader(session)
        a.a_device(session, reader)
        a.a_follow(session, reader, topic)
    canary.send_if_due(session, 10)
    wanted = Audience.of_topics(story.id, [f"story/{story.id}"], Urgency.QUIET, a.NOON)
    frozen = audience.freeze(session, story.id, wanted)
    assert audience_counts.estimate(session, frozen, ["apns"]).devices == 1


def test_old_alerts_keep_their_totals_and_timing_but_not_their_deliveries(session):
    story = a.a_story(session)
    old = a.an_alert(session, story, state="finished", settled=True, finished_at=a.NOON)
    young = a.an_alert(session, story, kind="update", state="finished", settled=True)
    age(session, old.id, "0 s")
    for alert in (old, young):
        for n, provider in enumerate(("apns", "apns", "fcm")):
            session.execute(
                text(
                    "INSERT INTO batch (alert_id, shard_n, n, provider, device_ids, states, counts,"
                    " progress, finished_at) VALUES (:a, 0, :n, :p, '{1,2}', '\\x0203', "
                    "'{0,0,1,1,0,0,0}', ARRAY[25 * :n, 1], now())"
                ),
                {"a": alert.id, "n": n, "p": provider},
            )
    for alert in (old, young):
        for n, mark in ((0, Mark.SHOWN), (0, Mark.OPENED), (1, Mark.SHOWN), (2, Mark.OPENED)):
            receipts.add_mark(session, alert.id, 0, n, n % 2, mark)
    session.execute(text("UPDATE alert SET finished_at = now() WHERE id = :a"), {"a": young.id})
    before = alerts.report(session, old.id)
    result = alert_results.count_result(session, old.id)
    assert (before.shown, before.opened) == (2, 2)
    assert retention.shrink_oldest_alert(session, 90)
    session.expire_all()
    after = alerts.report(session, old.id)
    assert after.totals == before.totals
    assert after.by_provider == before.by_provider
    assert after.timing == before.timing
    assert (after.shown, after.opened) == (before.shown, before.opened)
    afterwards = alert_results.count_result(session, old.id)
    assert (afterwards.by_app, afterwards.openings) == (result.by_app, result.openings)
    for table in ("batch", "receipt"):
        rows = session.execute(text(f"SELECT alert_id, count(*) FROM {table} GROUP BY 1")).all()
        assert dict(map(tuple, rows)) == {old.id: 2, young.id: 3}
    assert not retention.shrink_oldest_alert(session, 90)
    receipts.add_mark(session, old.id, 0, 0, 1, Mark.OPENED)
    assert alerts.report(session, old.id).opened == before.opened


@pytest.mark.parametrize("count", [1, 7, 8, 9, 700])
def test_receipts_that_an_earlier_release_left_behind_are_folded_too(session, count):
    alert = a.an_alert(session, a.a_story(session), state="finished", settled=True)
    session.execute(
        text(
            "INSERT INTO receipt (alert_id, shard_n, n, marks, openings) SELECT :a, 0, n, "
            "'\\x0303', ARRAY[n % 2, 2] FROM generate_series(1, :count) n"
        ),
        {"a": alert.id, "count": count},
    )
    session.execute(
        text("UPDATE alert SET finished_at = now() - interval '91 days' WHERE id = :a"),
        {"a": alert.id},
    )
    openings = alert_results.read_openings(session, alert.id)
    assert retention.shrink_oldest_alert(session, 90)
    assert receipts.counts(session, [alert.id])[alert.id] == receipts.Counts(2 * count, 2 * count)
    assert alert_results.read_openings(session, alert.id) == openings
    assert session.execute(text("SELECT shard_n, n FROM receipt")).all() == [(-1, 0)]
    assert not retention.shrink_oldest_alert(session, 90)


def test_unseen_devices_are_forgotten_a_batch_a_transaction_and_counted(engine, monkeypatch):
    now = datetime.now(UTC)
    monkeypatch.setattr(device_ages, "part_at", lambda _moment: (0, ID_LIMIT))
    monkeypatch.setattr(device_ages, "MOST_AT_ONCE", 2)
    with transaction(engine) as session:
        reader = a.a_reader(session)
        for days in (271, 272, 273, 269, 61, 59):
            a.a_device(session, reader, registered_at=now - timedelta(days=days))
    with capture_logs() as lines:
        chores._age_devices(Context(engine))
    assert [line["devices"] for line in lines] == [3]
    with transaction(engine) as session:
        count = "SELECT count(*) FILTER (WHERE gone_at IS NOT NULL), count(*) FILTER (WHERE stale)"
        assert session.execute(text(f"{count} FROM device")).one() == (3, 2)


def test_a_chore_that_fails_does_not_stop_the_others(monkeypatch):
    runs = []

    def broken(_context):
        raise ValueError("unforeseen")

    def sound(context):
        runs.append(context)

    monkeypatch.setattr(chores, "_CHORES", ((broken, 0.0), (sound, 0.0)))
    chores.run_chores("a context")
    assert runs == ["a context"]
