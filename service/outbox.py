"""The messages that cross to the workers: a task's name, its queue and ids, nothing else.

They are sent after the commit (a task must never look for a row that is not there yet), with one
short try: whatever does not arrive is found by the sweep within seconds, because the rows say it.
"""

from dataclasses import dataclass, field
from typing import Protocol

import structlog

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
        """Send what was kept. Never raises: the rows are the truth and sweep repeats what is lost."""
        messages, self.waiting = self.waiting, []
        for message in messages:
            try:
                self.broker.send(message)
            except Exception as error:  # noqa: BLE001 - whatever the broker raises, sweep mends
                log.warning(
                    "message not sent, left to the sweep", task=message.task, error=str(error)
                )
                return
