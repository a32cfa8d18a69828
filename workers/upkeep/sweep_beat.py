"""The scheduler of Celery beat that sends the sweep, by the monotonic clock.

Celery's own schedulers go by the wall clock: when that is set back by an hour, the next sweep comes
an hour late. This one also has no state to keep on disk.
"""

import os
import time
from pathlib import Path
from typing import Any

import structlog
from celery.beat import ScheduleEntry, Scheduler
from kombu import Connection, Producer

from workers import counters
from workers.upkeep.alive_file import touch

log = structlog.get_logger()

EVERY_S = 1.0
ALIVE = "NEWSZOP_ALIVE_FILE"
LONGEST_WAIT_S = 5


class MonotonicScheduler(Scheduler):
    """Sends each entry of the schedule at once, and again every `EVERY_S` seconds."""

    _next_send = 0.0
    _alive_file = Path(os.environ[ALIVE]) if os.environ.get(ALIVE) else None

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; returns the seconds until the next entry is due."""
        wait = self._next_send - time.monotonic()
        if wait > 0:
            return wait
        self._next_send = time.monotonic() + EVERY_S
        for entry in self.schedule.values():
            self.apply_entry(entry, producer=self.producer)
        touch(self._alive_file)
        return EVERY_S

    def apply_entry(self, entry: ScheduleEntry, producer: Producer | None = None) -> None:
        """Send one entry. A failure is one line of the log, and ends the connection.

        A broker that has failed over may be elsewhere, while its old primary still answers and
        refuses.
        """
        try:
            self.apply_async(entry, producer=producer, advance=False)
            counters.BEAT_MESSAGES.labels("sent").inc()
        except Exception as error:  # noqa: BLE001 - whatever the transport raises, it is sent again
            counters.BEAT_MESSAGES.labels("not_sent").inc()
            log.warning("not sent", entry=entry.name, error=f"{type(error).__name__}: {error}")
            self.__dict__.pop("producer", None)
            connection = self.__dict__.pop("connection", None)
            if connection is not None:
                connection.release()

    def _ensure_connected(self) -> Connection:
        """Connect, however long it takes, and look for the broker every few seconds at least."""

        def report(error: Exception, wait_s: float) -> None:
            log.warning(
                "the broker is away", error=f"{type(error).__name__}: {error}", wait_s=wait_s
            )

        return self.connection.ensure_connection(
            report, interval_start=1, interval_step=1, interval_max=LONGEST_WAIT_S
        )
