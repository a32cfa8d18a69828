"""An alert's totals as server-sent events: one look at Postgres a tick, however many watch."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.api.alert_shapes import shown
from service.domain.errors import Unavailable, require
from service.store.alerts import alerts
from service.store.session import transaction

log = structlog.get_logger()

TICK_S = 0.25
AT_LEAST_EVERY_S = 0.7
"""With a tick on top it stays under the second that is promised."""
RECONNECT_MS = 2000
MOST_WATCHERS = 500
LOOKS_AT_ONCE = 2
"""Threads that may look at Postgres for watchers, so that requests keep theirs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An alert as JSON, and whether it will change any more unasked."""

    json: str
    ended: bool


@dataclass(slots=True)
class _Watched:
    """An alert that somebody watches; the lock lets one of them look and the others share."""

    watchers: int = 0
    at: float = float("-inf")
    reading: Reading | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Readings:
    """The newest reading of every alert that is watched in this process."""

    look: Callable[[int], Reading]
    _watched: dict[int, _Watched] = field(default_factory=dict)
    _threads: anyio.CapacityLimiter | None = None

    @contextmanager
    def watching(self, alert_id: int) -> Iterator[None]:
        """Count a watcher of this alert while the block lasts; refuse more than we can serve."""
        if sum(watched.watchers for watched in self._watched.values()) >= MOST_WATCHERS:
            raise Unavailable("Too many are watching alerts just now.", retry_after=5)
        watched = self._watched.setdefault(alert_id, _Watched())
        watched.watchers += 1
        try:
            yield
        finally:
            watched.watchers -= 1
            if not watched.watchers:
                del self._watched[alert_id]

    async def latest(self, alert_id: int) -> Reading:
        """Return a reading that is a tick old at most, or the last one while Postgres is away."""
        watched = self._watched[alert_id]
        async with watched.lock:
            if time.monotonic() - watched.at >= TICK_S:
                watched.reading = await self._look(alert_id, watched.reading)
                watched.at = time.monotonic()
            if watched.reading is None:
                raise Unavailable("The database does not answer just now: try again.")
            return watched.reading

    async def _look(self, alert_id: int, last: Reading | None) -> Reading | None:
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(LOOKS_AT_ONCE)
        try:
            return await anyio.to_thread.run_sync(self.look, alert_id, limiter=self._threads)
        except SQLAlchemyError as error:
            log.warning("alert not read", alert=alert_id, error=type(error).__name__)
            return last


def readings(engine: Engine, site: str) -> Readings:
    """Return the readings of one application's alerts."""

    def look(alert_id: int) -> Reading:
        with transaction(engine) as session:
            report = require(alerts.report(session, alert_id), "alert")
        ended = report.alert.state.final and not report.totals.open
        return Reading(shown(report, site).model_dump_json(), ended)

    return Readings(look)


async def totals(kept: Readings, alert_id: int) -> AsyncIterator[str]:
    """Yield an event at once, at every change and at least every second, until the alert ended.

    Whoever serves it cancels it when the watcher is gone. It must not ask for that itself: two
    readers of one connection's messages break the connection.
    """
    said, at = "", float("-inf")
    with kept.watching(alert_id):
        yield f"retry: {RECONNECT_MS}\n\n"
        while True:
            reading = await kept.latest(alert_id)
            if reading.json != said or time.monotonic() - at >= AT_LEAST_EVERY_S:
                said, at = reading.json, time.monotonic()
                yield f"event: totals\ndata: {said}\n\n"
            if reading.ended:
                return
            await asyncio.sleep(TICK_S)
