"""Nothing that a delivery or the sweep needs waits for a row that another session has locked."""

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.store.alerts import alert_transitions
from service.store.operations import holds
from service.store.readers import device_history, devices
from service.store.session import limit_lock_waits, transaction
from tests import builders as a
from tests.workers.stages import Context
from workers.delivery import alert_end

NO_WAIT_S = 0.1


@pytest.fixture
def ids(engine):
    """The ids of an alert and a device; a provider is held too."""
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="stopped", started_at=None)
        device = a.a_device(session, a.a_reader(session))
        holds.hold(session, "apns", "a key has expired", holds.WORKER)
        session.execute(text("UPDATE hold SET probe_at = now() - interval '1 s'"))
        return {"alert": alert.id, "device": device.id}


@pytest.mark.parametrize(
    ("table", "call"),
    [
        ("hold", lambda session, _: holds.take_probe(session, "apns")),
        ("device", lambda session, ids: devices.forget(session, [(ids["device"], None)], "gone")),
        ("device", lambda session, ids: device_history.suspect(session, [ids["device"]])),
        ("device", lambda session, ids: device_history.note_refusals(session, [ids["device"]])),
        ("device", lambda session, ids: a.note_acceptances(session, [ids["device"]])),
        ("alert", lambda session, ids: alert_transitions.lock_overdue(session, ids["alert"])),
        ("alert", lambda session, ids: alert_transitions.settle_unstarted(session, ids["alert"])),
    ],
)
def test_a_locked_row_is_left_alone_and_waited_for_by_nobody(engine, ids, table, call):
    with engine.connect() as holder:
        holder.execute(text(f"SELECT * FROM {table} FOR UPDATE"))
        with transaction(engine) as session:
            limit_lock_waits(session, NO_WAIT_S)
            assert not call(session, ids)


def test_an_alert_whose_row_is_locked_is_ended_later(engine, monkeypatch):
    monkeypatch.setattr(alert_end, "LOCK_WAIT_S", NO_WAIT_S)
    process = Context(engine)
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="sending")
        session.execute(text("UPDATE alert SET started_at = now()"))
        a.a_batch(session, alert, [State.ACCEPTED], finished_at=alert.created_at)
        alert_id = alert.id

    def state():
        with transaction(engine) as session:
            return session.execute(text("SELECT state FROM alert")).scalar_one()

    with engine.connect() as holder:
        holder.execute(text("SELECT * FROM alert FOR UPDATE"))
        alert_end.end_if_done(process, alert_id)
    assert state() == "sending"
    alert_end.end_if_done(process, alert_id)
    assert state() == "finished"
