"""The sweep's own steadiness: what fails or hangs keeps nothing else waiting."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.domain.delivery import State
from service.store.operations import process_leases
from service.store.schema import AlertRow
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context
from workers import sweep
from workers.upkeep import sweep_lease


@pytest.fixture
def process(engine):
    return Context(engine)


@pytest.fixture(autouse=True)
def no_chores(monkeypatch):
    monkeypatch.setattr(sweep.chores, "run_chores", lambda _: None)


def alerts(engine, **given):
    with transaction(engine) as session:
        return [a.an_alert(session, a.a_story(session), **given).id for _ in range(3)]


def states(engine):
    with transaction(engine) as session:
        return dict(map(tuple, session.execute(text("SELECT id, state FROM alert"))))


def test_an_alert_that_cannot_be_settled_keeps_no_other_waiting(engine, process, monkeypatch):
    past = datetime.now(UTC) - timedelta(seconds=5)
    alerts(engine, state="sending", started_at=past, expires_at=past)
    with transaction(engine) as session:
        order = session.execute(text("SELECT id FROM alert ORDER BY urgency DESC, created_at"))
        stuck, *others = order.scalars()
        a.a_shard(session, AlertRow(id=stuck), done=False)
    drain = sweep._drain

    def fails_for_one(session, process, alert_id, to):
        if alert_id == stuck:
            raise OperationalError("SELECT", {}, Exception("statement timeout"))
        drain(session, process, alert_id, to)

    monkeypatch.setattr(sweep, "_drain", fails_for_one)
    sweep.sweep(process)
    found = states(engine)
    assert found[stuck] == "sending"
    assert {found[other] for other in others} == {"finished"}


def test_a_search_that_fails_in_an_unforeseen_way_spoils_no_other(engine, process, monkeypatch):
    def broken(_process):
        raise ValueError("unforeseen")

    past = datetime.now(UTC) - timedelta(seconds=5)
    [alert, *_] = alerts(engine, state="stopped", created_at=past)
    monkeypatch.setattr(sweep, "_expire", broken)
    sweep.sweep(process)
    with transaction(engine) as session:
        assert session.execute(
            text("SELECT settled FROM alert WHERE id = :a"), {"a": alert}
        ).scalar_one()


@pytest.mark.parametrize("moment", ["before the lock", "before the commit"])
def test_a_replay_in_the_instant_of_the_expiry_keeps_its_deliveries(
    engine, process, monkeypatch, moment
):
    past = datetime.now(UTC) - timedelta(seconds=5)
    with transaction(engine) as session:
        late = a.an_alert(
            session, a.a_story(session), state="sending", started_at=past, expires_at=past
        )
        a.a_shard(session, late)
        a.a_batch(session, late, [State.PENDING])
    replay = text("UPDATE alert SET expires_at = now() + interval '1 h', state = 'sending'")
    search = sweep.unfinished_alerts.alerts_past_deadline

    def replayed_meanwhile(session):
        alerts = search(session)
        replaying.execute(replay)
        if moment == "before the lock":
            replaying.commit()
        else:
            threading.Timer(0.2, replaying.commit).start()
        return alerts

    monkeypatch.setattr(sweep.unfinished_alerts, "alerts_past_deadline", replayed_meanwhile)
    with engine.connect() as replaying:
        sweep.sweep(process)
    with transaction(engine) as session:
        assert session.execute(text("SELECT finished_at FROM batch")).scalar_one() is None


def test_a_replay_in_the_instant_of_a_rejections_clearing_keeps_its_deliveries(engine, process):
    begun = datetime.now(UTC)
    with transaction(engine) as session:
        alert = a.an_alert(
            session,
            a.a_story(session),
            state="sending",
            started_at=begun,
            rejected_by=["apns"],
            expires_at=begun + timedelta(hours=1),
        )
        a.a_shard(session, alert)
        a.a_batch(session, alert, [State.PENDING])
    with engine.connect() as replaying:
        replaying.execute(text("UPDATE alert SET rejected_by = '{}'"))
        sweep.sweep(process)
        replaying.commit()
    with transaction(engine) as session:
        assert session.execute(text("SELECT finished_at FROM batch")).scalar_one() is None


def test_while_one_process_sweeps_another_does_not(engine, process, monkeypatch):
    other_passes = []

    def sweep_elsewhere(_process):
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(sweep_lease.os, "getpid", lambda: 0)
            elsewhere.setattr(sweep, "_expire", other_passes.append)
            sweep.sweep(process)

    monkeypatch.setattr(sweep, "_finish", sweep_elsewhere)
    sweep.sweep(process)
    assert other_passes == []
    monkeypatch.setattr(sweep, "_expire", other_passes.append)
    sweep.sweep(process)
    assert len(other_passes) == 1


def test_a_process_that_vanished_in_a_pass_is_replaced_within_seconds(engine, process, monkeypatch):
    monkeypatch.setattr(sweep_lease, "LEASE_S", 0.5)
    passes = []
    monkeypatch.setattr(sweep, "_expire", passes.append)
    with transaction(engine) as session:
        assert process_leases.take(session, process_leases.SWEEP, "a host that is gone", 0.5)
    sweep.sweep(process)
    assert passes == []
    time.sleep(0.6)
    sweep.sweep(process)
    assert len(passes) == 1


def test_no_pass_waits_for_a_lease_whose_row_is_locked(engine, process):
    sweep.sweep(process)
    with engine.connect() as stuck:
        stuck.execute(text("SELECT * FROM process_lease FOR UPDATE"))
        started_at = time.monotonic()
        sweep.sweep(process)
        assert time.monotonic() - started_at < 1


def test_an_alert_that_a_vanished_host_has_locked_keeps_no_other_waiting(
    engine, process, monkeypatch
):
    monkeypatch.setattr(sweep, "LOCK_WAIT_S", 0.2)
    past = datetime.now(UTC) - timedelta(seconds=5)
    stuck, *others = alerts(engine, state="scheduled", send_at=past, expires_at=past)
    with engine.connect() as holder:
        holder.execute(text("SELECT * FROM alert WHERE id = :a FOR UPDATE"), {"a": stuck})
        started_at = time.monotonic()
        sweep.sweep(process)
        assert time.monotonic() - started_at < 4
        states_meanwhile = states(engine)
    assert states_meanwhile[stuck] == "scheduled"
    assert {states_meanwhile[other] for other in others} == {"expired"}


def test_pages_that_hang_hold_up_a_pass_for_seconds_and_not_for_each(engine, process, monkeypatch):
    past = datetime.now(UTC) - timedelta(seconds=5)
    alerts(engine, state="scheduled", send_at=past)
    asked = []

    def hangs(_page_origin, _public_url, slug):
        asked.append(slug)
        time.sleep(0.05)
        return "it hangs"

    monkeypatch.setattr(sweep, "PAGES_S", 0.01)
    monkeypatch.setattr(sweep.story_page, "why_not_shown", hangs)
    sweep.sweep(process)
    assert len(asked) == 1
    sweep.sweep(process)
    assert len(set(asked)) == 2


def test_what_is_stopped_is_settled_before_pages_are_asked_for(engine, process, monkeypatch):
    past = datetime.now(UTC) - timedelta(seconds=5)
    alerts(engine, state="scheduled", send_at=past)
    with transaction(engine) as session:
        stopped = a.an_alert(session, a.a_story(session), state="stopped", started_at=past)
        a.a_shard(session, stopped)
        a.a_batch(session, stopped, [State.PENDING])
    seen = []

    def look(*_):
        with transaction(engine) as session:
            seen.append(
                session.execute(
                    text("SELECT settled FROM alert WHERE id = :a"), {"a": stopped.id}
                ).scalar_one()
            )
        return "not yet"

    monkeypatch.setattr(sweep.story_page, "why_not_shown", look)
    sweep.sweep(process)
    assert all(seen)
    assert seen
