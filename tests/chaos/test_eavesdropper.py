"""The witness of the messages, on a real broker and a real database."""

import time
from contextlib import contextmanager

from service.outbox import CeleryBroker, deliver, fan_out_shard, plan_alert
from service.store.schema import new_id
from service.store.session import transaction
from tests import builders
from tests.chaos.eavesdropper import Eavesdropper


@contextmanager
def listening(redis_url, database_url):
    witness = Eavesdropper(redis_url, database_url)
    witness.start()
    yield witness
    witness.finish()


def heard(witness, broker, message):
    """Send the message until the witness, who may not be there yet, has heard one."""
    until = time.monotonic() + 20
    before = witness.heard
    while witness.heard == before and time.monotonic() < until:
        broker.send(message)
        time.sleep(0.2)
    return list(witness.early)


def test_a_message_about_rows_that_nobody_can_see_is_early(engine, redis_url, database_url):
    broker, unknown = CeleryBroker(redis_url), new_id()
    with listening(redis_url, database_url) as witness:
        for message in (
            plan_alert(unknown, "urgent"),
            fan_out_shard(unknown, 3, "normal"),
            deliver(unknown, "normal"),
        ):
            spoken_of = f"{message.task}{message.args}"
            assert spoken_of in heard(witness, broker, message)


def test_a_message_about_rows_that_are_there_is_not_early(engine, redis_url, database_url):
    broker = CeleryBroker(redis_url)
    with transaction(engine) as session:
        alert = builders.an_alert(session, builders.a_story(session), state="planning")
        builders.a_shard(session, alert, n=3)
        alert_id = alert.id
    with listening(redis_url, database_url) as witness:
        for message in (
            plan_alert(alert_id, "urgent"),
            fan_out_shard(alert_id, 3, "normal"),
            deliver(alert_id, "normal"),
        ):
            assert not any(str(alert_id) in early for early in heard(witness, broker, message))
