"""The messages that cross to the workers: a task's name, its queue and ids, nothing else.

They are sent after the commit (a task must never look for a row that is not there yet), with one
short try: whatever does not arrive is found by the sweep within seconds, because the rows say it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from celery import Celery
from sqlalchemy import Engine, text
from sqlmodel import Session

from service.store.session import transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Send:
    """One message: `task` is the stage's name, `args` are ids and numbers."""

    task: str
    queue: str
    args: tuple[int, ...]


def plan_alert(alert_id: int, queue: str) -> Send:
    """Ask for an alert to be cut into shards."""
    return Send("plan_alert", queue, (alert_id,))


def fan_out_shard(alert_id: int, n: int, queue: str) -> Send:
    """Ask for one shard to be packed into batches."""
    return Send("fan_out_shard", queue, (alert_id, n))


def deliver(alert_id: int, queue: str) -> Send:
    """Ask for an alert's open batches to be sent."""
    return Send("deliver", queue, (alert_id,))


class Broker(Protocol):
    """What hands a message to Celery; raises when the broker is away."""

    def send(self, message: Send) -> None:
        """Hand over one message within a second or raise."""
        ...


@dataclass(slots=True)
class Outbox:
    """Messages collected during a transaction, sent by `flush` after its commit."""

    broker: Broker
    waiting: list[Send] = field(default_factory=list)

    def add(self, message: Send) -> None:
        """Keep a message until the commit."""
        self.waiting.append(message)

    def flush(self) -> None:
        """Send what was kept. Never raises: the rows are the truth, and sweep repeats the rest."""
        messages, self.waiting = self.waiting, []
        for message in messages:
            try:
                self.broker.send(message)
            except Exception as error:  # noqa: BLE001 - whatever the broker raises, sweep mends
                log.warning(
                    "message not sent, left to the sweep", task=message.task, error=str(error)
                )
                return


class CeleryBroker:
    """Hands messages to Celery by name; knows no task's code."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery("newszop", broker=redis_url, set_as_current=False)
        self._app.conf.update(
            broker_connection_timeout=1,
            broker_transport_options={"socket_timeout": 1, "socket_connect_timeout": 1},
            task_ignore_result=True,
        )

    def send(self, message: Send) -> None:
        """Publish within about a second or raise what the transport raises."""
        self._app.send_task(
            message.task,
            args=list(message.args),
            queue=message.queue,
            retry=False,
            ignore_result=True,
        )


@dataclass(slots=True)
class Work:
    """One request's or command's transaction, and the messages that follow its commit."""

    session: Session
    outbox: Outbox
    now: datetime


@contextmanager
def unit_of_work(engine: Engine, broker: Broker) -> Iterator[Work]:
    """Open a `Work`; on a good end commit, then send its messages; on a raise roll back."""
    outbox = Outbox(broker)
    with transaction(engine) as session:
        # the database's clock: rows of all machines are compared with it, and no other may jump
        now: datetime = session.execute(text("SELECT now()")).scalar_one()
        yield Work(session, outbox, now)
    outbox.flush()
