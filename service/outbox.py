"""The messages that cross to the workers: a task's name, its queue and ids, nothing else.

They are sent after the commit, each with one short try. A message that is lost costs seconds: the
rows say what is to be done, and the sweep sends it again.
"""

from dataclasses import dataclass, field
from typing import Protocol

import redis
import structlog
from celery import Celery
from kombu import pools

QUEUES = ("urgent", "normal")
"""Every queue, the most urgent first; `domain.alert.queue_of` chooses one of them."""

SEND_TIMEOUT_S = 1
WRITE_CHECK_KEY = "newszop:write-check"
WRITE_CHECK_KEPT_S = 60

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

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._app = _open_app(redis_url)

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
                ignore_result=True,
            )
        except Exception:
            pools.reset()
            self._app = _open_app(self._url)
            raise


def try_write(client: redis.Redis) -> None:
    """Write to the broker; raises `redis.RedisError` when it is away or takes no writes."""
    client.set(WRITE_CHECK_KEY, 1, ex=WRITE_CHECK_KEPT_S)


def _open_app(redis_url: str) -> Celery:
    app = Celery("newszop", broker=redis_url, set_as_current=False)
    app.conf.update(
        broker_connection_timeout=SEND_TIMEOUT_S,
        broker_transport_options={
            "socket_timeout": SEND_TIMEOUT_S,
            "socket_connect_timeout": SEND_TIMEOUT_S,
        },
        task_ignore_result=True,
    )
    return app
