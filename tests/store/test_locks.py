"""Locks: verbs on one story wait for one another, and writing batches waits for none of them."""

import threading
from datetime import UTC, datetime

from sqlalchemy import text

from service.actions import replays
from service.actions import stories as story_actions
from service.domain.delivery import State
from service.domain.errors import Conflict
from service.domain.people import Caller, Scope
from service.outbox import Outbox
from service.store.alerts import alerts
from service.store.deliveries import dead_letters
from service.store.session import transaction
from service.unit_of_work import UnitOfWork
from tests import builders as a

EDITOR = Caller(name="key:1", label="an editor", scopes=frozenset(Scope))


class Nobody:
    def send(self, message):
        raise AssertionError(message)


def a_buried_delivery(engine):
    with transaction(engine) as session:
        story = a.a_story(session)
        alert = a.an_alert(session, story, state="finished", started_at=a.NOON, settled=True)
        a.a_shard(session, alert)
        a.a_batch(session, alert, [State.BURIED])
        dead_letters.bury(session, alert.id, 0, 0, "apns", "too old", "400", [0])
        return story.id, alert.id


def test_a_replay_comes_wholly_before_or_after_a_retraction(engine):
    story_id, alert_id = a_buried_delivery(engine)
    refused = []

    def replay():
        try:
            with transaction(engine) as session:
                replays.replay_alert(
                    UnitOfWork(session, Outbox(Nobody()), datetime.now(UTC)), alert_id, EDITOR
                )
        except Conflict as conflict:
            refused.append(str(conflict))

    with transaction(engine) as session:
        work = UnitOfWork(session, Outbox(Nobody()), datetime.now(UTC))
        story_actions.retract(work, story_id, EDITOR)
        other = threading.Thread(target=replay)
        other.start()
        other.join(0.3)
    other.join(5)
    with transaction(engine) as session:
        state = session.execute(text("SELECT state FROM alert")).scalar_one()
    assert (state, len(refused)) == ("finished", 1)


def test_a_dead_letter_does_not_wait_for_a_transaction_that_has_locked_the_alert(engine):
    _, alert_id = a_buried_delivery(engine)
    with transaction(engine) as editor:
        alerts.lock(editor, [alert_id])
        with transaction(engine) as worker:
            worker.execute(text("SET LOCAL lock_timeout = '500 ms'"))
            dead_letters.bury(worker, alert_id, 0, 0, "apns", "too big", "413", [0])
