"""The scheduler of Celery beat that sends the sweep, by the monotonic clock.

Celery's own schedulers go by the wall clock: when that is set back by an hour, the next sweep comes
an hour late. This one also has no state to keep on disk.
"""

import time
from typing import Any

from celery.beat import Scheduler

EVERY_S = 1.0


class MonotonicScheduler(Scheduler):
    """Sends each entry of the schedule at once, and again every `EVERY_S` seconds."""

    _next_send = 0.0

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; returns the seconds until the next entry is due."""
        wait = self._next_send - time.monotonic()
        if wait > 0:
            return wait
        self._next_send = time.monotonic() + EVERY_S
        for entry in self.schedule.values():
            self.apply_entry(entry, producer=self.producer)
        return EVERY_S
