"""Planning on real PostgreSQL: shards, their messages, and who goes on."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from service.domain.audience import LeftOut
from service.domain.delivery import State
from service.store.alerts import alerts
from service.store.deliveries import retention, shards
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
    assert len(waiting) == fan_out.SPREAD
    while waiting:
        n = waiting.pop(0)
        seen.append(n)
        fan_out.fan_out_shard(process, alert, n)
        waiting += asked(process)
    assert sorted(seen) == list(range(100))


def test_a_shard_that_is_packed_already_asks_for_nothing(engine, process):
    alert = an_alert(engine, 1)
    plan.plan_alert(process, alert)
    process.messages.clear()
    fan_out.fan_out_shard(process, alert, 0)
    assert process.messages == []


def test_who_reads_none_of_its_languages_is_left_out_and_counted(engine):
    process = Context(engine, Settings(language_rule=True))
    with transaction(engine) as session:
        for reads in ([], ["en"], ["de", "hi"], ["de"], ["fr"]):
            reader = a.a_reader(session, languages=reads, reads=reads)
            a.a_device(session, reader, provider="apns")
        words = {"hi": {"title": "वर्षा", "body": ""}}
        row = a.an_alert(session, a.a_story(session), everyone=True, locales=words)
        row.expires_at = row.created_at + timedelta(hours=1)
    plan.plan_alert(process, row.id)
    with transaction(engine) as session:
        report = alerts.report(session, row.id)
    assert report.totals.planned == 3
    assert report.left_out == {LeftOut.QUIET_HOURS: 0, LeftOut.LANGUAGE: 2}


def test_what_was_left_out_is_known_when_the_deliveries_have_shrunk(engine, process):
    with transaction(engine) as session:
        row = a.an_alert(session, a.a_story(session), state="finished", settled=True)
        row.finished_at = row.created_at - timedelta(days=100)
        a.a_shard(session, row, left_out=[2, 3])
        a.a_shard(session, row, n=1, left_out=[5, 0])
        a.a_batch(session, row, [State.ACCEPTED])
    with transaction(engine) as session:
        assert retention.shrink_old_alerts(session, 90) == 1
        report = alerts.report(session, row.id)
    assert report.left_out == {LeftOut.QUIET_HOURS: 7, LeftOut.LANGUAGE: 3}
