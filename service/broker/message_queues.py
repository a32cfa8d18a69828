"""How many messages wait in a queue, and whether the broker takes new ones."""

import threading
from typing import Any, Protocol

import redis
from amqp import Message
from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.broker.celery_options import celery_options
from service.broker.redis_client import open_redis
from service.server_addresses import is_rabbitmq

WRITE_CHECK_KEY = "newszop:write-check"
WRITE_CHECK_KEPT_S = 60


class MessageQueues(Protocol):
    """The broker's queues as the control room, the health check and the workers see them."""

    kind: str
    """Redis or RabbitMQ."""

    def count(self, queue: str) -> int | None:
        """Return how many messages wait in a queue; None while the broker is away."""
        ...

    def explain_refusal(self) -> str | None:
        """Return why the broker takes no new message; None when it takes them.

        An answer alone is not enough: a replica, or a primary without its replicas or its disk,
        answers and refuses. So it is for minutes while a managed Redis fails over.
        """
        ...

    def close(self) -> None:
        """Let go of its connections."""
        ...


def open_queues(url: str, timeout_s: float) -> MessageQueues:
    """Return the queues of the broker at `url`; nothing connects before the first question."""
    if is_rabbitmq(url):
        return RabbitQueues(url, timeout_s)
    # a request waits for the answer: one try
    return RedisQueues(open_redis(url, timeout_s, retry=Retry(NoBackoff(), 0)))


class RedisQueues:
    """Lists in Redis."""

    kind = "Redis"

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def count(self, queue: str) -> int | None:
        """Return the length of the queue's list."""
        try:
            return int(self._client.llen(queue))
        except redis.RedisError:
            return None

    def explain_refusal(self) -> str | None:
        """Write a key that is gone in a minute."""
        try:
            self._client.set(WRITE_CHECK_KEY, 1, ex=WRITE_CHECK_KEPT_S)
        except redis.ResponseError as error:
            return f"it takes no writes: {error}"
        except redis.RedisError as error:
            return f"it cannot be reached: {error}"
        return None

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()


class RabbitQueues:
    """Quorum queues at RabbitMQ, asked on one connection of their own, which one thread uses."""

    kind = "RabbitMQ"

    def __init__(self, url: str, timeout_s: float) -> None:
        self._app = Celery("queues", set_as_current=False)
        self._app.conf.update(celery_options(url, connect_s=timeout_s, answer_s=timeout_s))
        self._app.conf.broker_transport_options["read_timeout"] = timeout_s
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def count(self, queue: str) -> int | None:
        """Return how many messages nobody has been given yet."""
        with self._lock:
            try:
                answer = self._channel().queue_declare(queue, passive=True)
            except NotFound:  # nobody has declared it: nothing was ever sent
                self._let_go()
                return 0
            except (AMQPError, OSError):
                self._let_go()
                return None
            return int(answer.message_count)

    def explain_refusal(self) -> str | None:
        """Publish two messages that no queue takes; RabbitMQ confirms them unless an alarm is on.

        With an alarm on, it still takes the first message of a connection.
        """
        with self._lock:
            try:
                for _ in range(2):
                    self._channel().basic_publish_confirm(
                        Message(""), routing_key=WRITE_CHECK_KEY, timeout=self._timeout_s
                    )
            except TimeoutError:
                self._let_go()
                return "it confirms no message: an alarm of memory or disk may be on"
            except (AMQPError, OSError) as error:
                self._let_go()
                return f"it cannot be reached: {error}"
            return None

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._let_go()

    def _channel(self) -> Any:
        if self._connection is None:
            connection = self._app.connection_for_write()
            connection.connect()
            self._connection = connection
        return self._connection.default_channel

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect(self._timeout_s)
