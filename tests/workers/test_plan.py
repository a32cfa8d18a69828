"""Planning on real PostgreSQL: shards, their messages, and who goes on."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from service.domain.audience import LeftOut
from service.domain.delivery import State
from service.domain.subscription import Urgency
from service.store.alerts import alerts
from service.store.deliveries import retention, shards
from service.store.readers import left_out_rules
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context, Settings
from workers import fan_out, plan


@pytest.fixture
def process(engine):
    return Context(engine, Settings(shard_devices=10))


def an_alert(engine, readers):
    with transaction(engine) as session:
        for _ in range(readers):
            a.a_device(session, a.a_reader(session), provider="apns")
        row = a.an_alert(session, a.a_story(session), state="planning", everyone=True)
        session.execute(text("UPDATE alert SET expires_at = now() + interval '1 h'"))
        return row.id


def asked(process):
    found = [each.args[1] for each in process.messages if each.task == "fan_out_shard"]
    process.messages.clear()
    return found


def test_who_plans_an_alert_with_devices_is_told_to_deliver_it(engine, process):
    assert plan.plan_alert(process, an_alert(engine, 3))
    assert [each.task for each in process.messages] == ["deliver"]


def test_an_alert_that_is_planned_or_gone_is_nobodys_to_deliver(engine, process):
    alert = an_alert(engine, 3)
    plan.plan_alert(process, alert)
    assert not plan.plan_alert(process, alert)
    assert not plan.plan_alert(process, 17)


def test_every_shard_is_asked_for_once_by_the_messages_of_the_others(engine, process, monkeypatch):
    alert = an_alert(engine, 1)
    monkeypatch.setattr(plan, "_pack_first", lambda *_: None)
    ranges = list(pairwise(range(0, 10_100, 100)))
    monkeypatch.setattr(shards, "cut_id_space", lambda *_: ranges)
    plan.plan_alert(process, alert)
    waiting, seen = asked(process), [0]
    assert len(waiting) == fan_out.MORE_SHARDS
    while waiting:
        n = waiting.pop(0)
        seen.append(n)
        fan_out.fan_out_shard(process, alert, n)
        waiting += asked(process)
    assert sorted(seen) == list(range(100))


def test_a_spread_alert_is_cut_evenly_and_only_its_first_shard_is_to_be_delivered_now(
    engine, process, monkeypatch
):
    process.settings.shard_devices = 10_000
    monkeypatch.setattr(plan.audience_counts, "rough_size", lambda *_: 600)
    alert = an_alert(engine, 600)
    with transaction(engine) as session:
        session.execute(text("UPDATE alert SET spread_s = 30"))
    plan.plan_alert(process, alert)
    assert [each.task for each in process.messages].count("deliver") == 1
    waiting = asked(process)
    while waiting:
        fan_out.fan_out_shard(process, alert, waiting.pop(0))
        assert not [each for each in process.messages if each.task == "deliver"]
        waiting += asked(process)
    with transaction(engine) as session:
        rows = session.execute(
            text(
                "SELECT count(DISTINCT shard_n), count(DISTINCT claimable_at), count(DISTINCT id), "
                "bool_and(claimable_at < now() + interval '30 s') "
                "FROM batch, unnest(device_ids) AS id"
            )
        ).one()
    assert tuple(rows) == (30, 30, 600, True)


def test_a_shard_that_is_packed_already_asks_for_nothing(engine, process):
    alert = an_alert(engine, 1)
    plan.plan_alert(process, alert)
    process.messages.clear()
    fan_out.fan_out_shard(process, alert, 0)
    assert process.messages == []


@pytest.mark.parametrize("urgency", ["breaking", "normal"])
@pytest.mark.parametrize(
    ("readers", "left_out"), [([[], ["en"], ["de", "hi"], ["de"], ["fr"]], 2), ([["en"], []], 0)]
)
def test_who_reads_none_of_its_languages_is_left_out_and_counted(
    engine, urgency, readers, left_out
):
    process = Context(engine, Settings(language_rule=True))
    with transaction(engine) as session:
        for reads in readers:
            reader = a.a_reader(session, languages=reads, reads=reads)
            a.a_device(session, reader, provider="apns")
        words = {"hi": {"title": "वर्षा", "body": ""}}
        rank = Urgency(urgency).rank
        row = a.an_alert(session, a.a_story(session), everyone=True, locales=words, urgency=rank)
        row.expires_at = row.created_at + timedelta(hours=1)
    plan.plan_alert(process, row.id)
    with transaction(engine) as session:
        report = alerts.report(session, row.id)
    assert report.totals.planned == len(readers) - left_out
    assert report.left_out == {
        LeftOut.QUIET_HOURS: 0,
        LeftOut.LANGUAGE: left_out,
        LeftOut.FREQUENCY: 0,
    }


def test_what_was_left_out_is_known_when_the_deliveries_have_shrunk(engine, process):
    with transaction(engine) as session:
        row = a.an_alert(session, a.a_story(session), state="finished", settled=True)
        row.finished_at = row.created_at - timedelta(days=100)
        a.a_shard(session, row, left_out=[2, 3])
        a.a_shard(session, row, n=1, left_out=[5, 0])
        a.a_batch(session, row, [State.ACCEPTED])
    with transaction(engine) as session:
        assert retention.shrink_oldest_alert(session, 90)
        report = alerts.report(session, row.id)
    assert report.left_out == {
        LeftOut.QUIET_HOURS: 7,
        LeftOut.LANGUAGE: 3,
        LeftOut.FREQUENCY: 0,
    }


def plan_to_everyone(engine, process, **given):
    """Return the report of an alert to everyone that has just been planned."""
    with transaction(engine) as session:
        row = a.an_alert(session, a.a_story(session), everyone=True, **given)
        row.expires_at = row.created_at + timedelta(hours=1)
    plan.plan_alert(process, row.id)
    with transaction(engine) as session:
        return alerts.report(session, row.id)


def devices_of_readers(engine, *caps):
    """Write one reader with two devices for each cap of a reader's own."""
    with transaction(engine) as session:
        for cap in caps:
            reader = a.a_reader(session, alerts_per_day=cap)
            for _ in range(2):
                a.a_device(session, reader, provider="apns")


@pytest.mark.parametrize(("cap", "planned"), [(2, [6, 4, 0, 0]), (0, [6, 4, 4, 2])])
def test_nobody_gets_more_alerts_in_a_day_than_they_allow(engine, cap, planned):
    process = Context(engine, Settings(frequency_cap=cap))
    devices_of_readers(engine, None, 1, 3)
    reports = [plan_to_everyone(engine, process) for _ in planned]
    assert [report.totals.planned for report in reports] == planned
    assert [report.left_out[LeftOut.FREQUENCY] for report in reports] == [6 - n for n in planned]
    assert plan_to_everyone(engine, process, urgency=2).totals.planned == 6


def test_dry_runs_breaking_alerts_and_stopped_ones_do_not_count(engine):
    process = Context(engine, Settings(frequency_cap=1))
    devices_of_readers(engine, None)
    plan_to_everyone(engine, process, dry_run=True)
    plan_to_everyone(engine, process, urgency=2)
    stopped = plan_to_everyone(engine, process)
    with transaction(engine) as session:
        values = {"id": stopped.alert.id}
        session.execute(text("UPDATE alert SET state = 'stopped' WHERE id = :id"), values)
    assert plan_to_everyone(engine, process).totals.planned == 2
    assert plan_to_everyone(engine, process).totals.planned == 0


def test_what_counts_no_more_is_forgotten_and_nothing_is_kept_without_a_cap(engine, process):
    devices_of_readers(engine, None)
    plan_to_everyone(engine, process)
    capped = plan_to_everyone(engine, Context(engine, Settings(frequency_cap=1)))
    sends = text("SELECT alert_id FROM recent_send")
    with transaction(engine) as session:
        assert list(session.execute(sends).scalars()) == [capped.alert.id]
        left_out_rules.forget_old_sends(session)
        assert list(session.execute(sends).scalars()) == [capped.alert.id]
        session.execute(text("UPDATE alert SET started_at = started_at - interval '25 hours'"))
        left_out_rules.forget_old_sends(session)
        assert list(session.execute(sends).scalars()) == []
