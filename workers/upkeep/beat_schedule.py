"""The beat of the sweep, by a clock that nobody sets.

Celery's own schedulers go by the wall clock: once that is set back by an hour, the next sweep is an
hour away. This one goes by the monotonic clock and has nothing to remember.
"""

import time
from typing import Any

from celery.beat import Scheduler

EVERY_S = 1.0


class Metronome(Scheduler):
    """Sends each entry of the schedule now and then every `EVERY_S` seconds."""

    _due = 0.0

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; returns the seconds until there is more to do."""
        wait = self._due - time.monotonic()
        if wait > 0:
            return wait
        self._due = time.monotonic() + EVERY_S
        for entry in self.schedule.values():
            self.apply_entry(entry, producer=self.producer)
        return EVERY_S
