"""The messages that cross to the workers: a task's name, its queue and ids, nothing else.

With a message go the id of the request that led to it, for the log, and its place in a trace.

They are sent after the commit, each with one short try. A message that is lost costs seconds: the
rows say what is to be done, and the sweep sends it again.
"""

from dataclasses import dataclass, field
from typing import Protocol

import structlog
from celery import Celery
from kombu import pools

from service.broker.celery_options import celery_options
from service.broker.queue_names import QUEUES, STRANGERS_QUEUE
from service.tracing.spans import traceparent

__all__ = [
    "QUEUES",
    "STRANGERS_QUEUE",
    "Broker",
    "CeleryBroker",
    "Message",
    "Outbox",
    "deliver",
    "deliver_strangers",
    "fan_out_shard",
    "plan_alert",
]

SEND_TIMEOUT_S = 1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    """One call of a worker's task; `args` are ids and numbers."""

    task: str
    queue: str
    args: tuple[int, ...]


def plan_alert(alert_id: int, queue: str) -> Message:
    """Ask for an alert to be cut into shards."""
    return Message("plan_alert", queue, (alert_id,))


def fan_out_shard(alert_id: int, n: int, queue: str) -> Message:
    """Ask for one shard to be packed into batches."""
    return Message("fan_out_shard", queue, (alert_id, n))


def deliver(alert_id: int, queue: str) -> Message:
    """Ask for an alert's open batches to be sent."""
    return Message("deliver", queue, (alert_id,))


def deliver_strangers(alert_id: int) -> Message:
    """Ask for an alert's open batches of strangers' servers to be sent."""
    return Message("deliver_strangers", STRANGERS_QUEUE, (alert_id,))


class Broker(Protocol):
    """Takes a message to its queue."""

    def send(self, message: Message) -> None:
        """Hand over one message within about a second, or raise what the transport raises."""
        ...


@dataclass(slots=True)
class Outbox:
    """Messages collected during a transaction, sent by `flush` after its commit."""

    broker: Broker
    messages: list[Message] = field(default_factory=list)

    def add(self, message: Message) -> None:
        """Keep a message until the commit."""
        self.messages.append(message)

    def flush(self) -> None:
        """Send the messages in order; never raises. The first failure leaves the rest to sweep."""
        messages, self.messages = self.messages, []
        for message in messages:
            try:
                self.broker.send(message)
            except Exception as error:  # noqa: BLE001 - whatever the transport raises, sweep repeats
                log.warning("message lost until the sweep", task=message.task, error=str(error))
                return


class CeleryBroker:
    """Sends messages by Celery, which needs only the task's name, not its code."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._app = _open_app(url)

    def prepare(self) -> None:
        """Load now what Celery and kombu load with the first message; nothing connects.

        It is 30 ms of CPU, which the first editor would wait for, many times as long beside a rush.
        """
        self._app.finalize()
        self._app.connection_for_write().get_transport_cls()
        self._app.backend  # noqa: B018 - looked up at every send, though no result is kept
        self._app.amqp.send_task_message  # noqa: B018 - made when it is first looked at

    def send(self, message: Message) -> None:
        """Publish within about a second, or raise what the transport raises.

        After a failure the next message gets a new connection: a broker that has failed over may
        be elsewhere, while its old primary still answers and refuses.
        """
        try:
            self._app.send_task(
                message.task,
                args=list(message.args),
                queue=message.queue,
                retry=False,
                confirm_timeout=SEND_TIMEOUT_S,
                ignore_result=True,
                headers=_headers(message) or None,
            )
        except Exception:
            pools.reset()
            self._app = _open_app(self._url)
            raise


def _headers(message: Message) -> dict[str, str]:
    """Return what goes with a message beside its ids.

    Work on one alert that asks for another's carries no place in a trace: that alert has its own.
    """
    names, alert = (
        structlog.contextvars.get_contextvars(),
        message.args[0] if message.args else None,
    )
    place = traceparent() if names.get("alert", alert) == alert else None
    headers = {"request_id": names.get("request_id"), "traceparent": place}
    return {name: value for name, value in headers.items() if value}


def _open_app(url: str) -> Celery:
    app = Celery("newszop", set_as_current=False)
    app.conf.update(celery_options(url, connect_s=SEND_TIMEOUT_S, answer_s=SEND_TIMEOUT_S))
    return app
