"""Celery's consumer, with a broker that may be away or refuse every write for hours.

Celery reconnects at once when the connection works and the broker answers with an error (Redis
with READONLY, NOREPLICAS or MISCONF in a failover): several times a second, each with a traceback.
Here the waits grow.
"""

import random
import time

import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

log = structlog.get_logger()

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0
SLICE_S = 0.2
"""While it waits the worker looks so often whether it is to end."""


class ReconnectingConsumer(Consumer):
    """Waits longer before each reconnection, until a connection has lasted for a while."""

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


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
