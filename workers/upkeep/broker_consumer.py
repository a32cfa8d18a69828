"""Celery's consumer, with a broker that may be away or refuse every write for hours.

Celery reconnects at once when the connection works and the broker answers with an error (Redis
with READONLY, NOREPLICAS or MISCONF in a failover): several times a second, each with a traceback.
Here the waits grow.

Celery ends the worker at a message that is not JSON, or whose head is not what it expects. Here
such a message is logged and dropped. What it was about is found by the sweep.
"""

import random
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu import Connection
from kombu.message import Message

log = structlog.get_logger()

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0
SLICE_S = 0.2
"""While it waits the worker looks so often whether it is to end."""
Read = Callable[..., None]
Errors = tuple[type[BaseException], ...]


class ReconnectingConsumer(Consumer):
    """Waits longer before each reconnection, until a connection has lasted for a while.

    A message that cannot be read is dropped.
    """

    wait_s = 0.0
    failed_at = float("-inf")

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, however long it takes, and look for the broker every few seconds at least."""

        def report(error: Exception, wait_s: float) -> None:
            log.warning("the broker is away", error=_describe(error), wait_s=wait_s)

        connection = conn.ensure_connection(
            report,
            interval_start=1,
            interval_step=1,
            interval_max=int(LONGEST_WAIT_S),
            callback=maybe_shutdown,
        )
        self.first_connection_attempt = False
        return connection

    def connection_for_read(self, heartbeat: float | None = None) -> Connection:
        """Connect; what arrives and is no message at all is dropped as it is read."""
        connection = super().connection_for_read(heartbeat=heartbeat)
        transport: Any = connection.transport  # kombu's own hook, which a loop calls
        transport.on_readable = drop_broken(transport.on_readable, _broker_errors(connection))
        return connection

    def create_task_handler(self, *arguments: Any, **options: Any) -> Read:
        """Return what takes a message; one with a head that cannot be used is dropped."""
        errors = _broker_errors(self)
        handle: Read = super().create_task_handler(*arguments, **options)

        def handle_or_reject(message: Message) -> None:
            fault = head_fault(message)
            try:
                if fault is None:
                    handle(message)
                    return
            except errors:
                raise
            except Exception as exception:  # noqa: BLE001 - whatever a message may break
                fault = _describe(exception)
            _report_broken(fault)
            message.reject_log_error(log, errors)  # or RabbitMQ delivers it again and again

        return handle_or_reject

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Report in one line what the broker answered while a connection was set up, and wait."""
        self._wait(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of a connection that worked, report why, and wait."""
        super().on_connection_error_after_connected(exc)
        self._wait(exc)

    def _wait(self, error: Exception) -> None:
        """Wait before the next connection."""
        self.wait_s = self._next_wait()
        log.warning("the broker refuses or is away", error=_describe(error), wait_s=self.wait_s)
        self._pause(self.wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the workers
        self.failed_at = time.monotonic()
        self.restart_count = 0  # Celery's own limit would add a traceback a second

    def _next_wait(self) -> float:
        """Return twice the last wait, or the first one when the last connection was a good one."""
        if time.monotonic() - self.failed_at > 2 * LONGEST_WAIT_S:
            return FIRST_WAIT_S
        return min(self.wait_s * 2, LONGEST_WAIT_S)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            maybe_shutdown()
            time.sleep(min(left, SLICE_S))


def head_fault(message: Message) -> str | None:
    """Say what is wrong with a head that nothing of ours writes; None for a sound one.

    Celery reserves a process for some of these before it fails, and never gives it back.
    """
    head: Any = message.headers
    if not isinstance(head, dict) or not isinstance(message.delivery_info, dict):
        return "its head is no object"
    if not isinstance(head.get("task"), str) or not isinstance(head.get("id"), str):
        return "its task or its id is no text"
    if head.get("eta") is not None or head.get("timelimit") not in (None, [None, None]):
        return "it has a time that we never set"
    return None


def drop_broken(read: Read, errors: Errors) -> Read:
    """Return `read`, which reads one message, without its faults other than these `errors`."""

    def read_or_drop(*arguments: Any) -> None:
        try:
            read(*arguments)
        except errors:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a message may break
            _report_broken(_describe(error))

    return read_or_drop


def _broker_errors(source: Any) -> Errors:
    """Return what a broker may raise; kombu lists `KeyError` too, which a message brings about."""
    errors = (*source.connection_errors, *source.channel_errors, OSError, Empty)
    return tuple(error for error in errors if error is not KeyError)


def _report_broken(fault: str) -> None:
    log.error("a broken message is dropped", fault=fault[:200])


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
