"""The monitor of the messages, on a real broker and a real database."""

import time
from contextlib import contextmanager

from service.outbox import CeleryBroker, deliver, fan_out_shard, plan_alert
from service.store.schema import new_id
from service.store.session import transaction
from tests import builders
from tests.chaos.redis_monitor import RedisMonitor


@contextmanager
def monitoring(redis_url, database_url):
    monitor = RedisMonitor(redis_url, database_url)
    monitor.start()
    yield monitor
    monitor.finish()


def send_until_read(monitor, broker, message):
    """Send the message until the monitor, which may not be connected yet, has read one."""
    deadline = time.monotonic() + 20
    count = monitor.messages
    while monitor.messages == count and time.monotonic() < deadline:
        broker.send(message)
        time.sleep(0.2)
    return list(monitor.early)


def test_a_message_about_rows_that_nobody_can_see_is_early(engine, redis_url, database_url):
    broker, unknown = CeleryBroker(redis_url), new_id()
    with monitoring(redis_url, database_url) as monitor:
        for message in (
            plan_alert(unknown, "urgent"),
            fan_out_shard(unknown, 3, "normal"),
            deliver(unknown, "normal"),
        ):
            expected = f"{message.task}{message.args}"
            assert expected in send_until_read(monitor, broker, message)


def test_a_message_about_rows_that_are_there_is_not_early(engine, redis_url, database_url):
    broker = CeleryBroker(redis_url)
    with transaction(engine) as session:
        alert = builders.an_alert(session, builders.a_story(session), state="planning")
        builders.a_shard(session, alert, n=3)
        alert_id = alert.id
    with monitoring(redis_url, database_url) as monitor:
        for message in (
            plan_alert(alert_id, "urgent"),
            fan_out_shard(alert_id, 3, "normal"),
            deliver(alert_id, "normal"),
        ):
            assert not any(
                str(alert_id) in early for early in send_until_read(monitor, broker, message)
            )
