"""Planning on real PostgreSQL: shards, their messages, and who goes on."""

from itertools import pairwise

import pytest
from sqlalchemy import text

from service.store.deliveries import shards
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
