"""An alert's totals as server-sent events: one query per tick and alert, however many watch."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import anyio
import anyio.to_thread
import structlog
from fastapi import Depends, Request, Response
from fastapi.sse import ServerSentEvent
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.api.alert_shapes import show_alert
from service.domain.errors import DATABASE_AWAY, TooMany, Unavailable, require
from service.http.auth import AlertWriter
from service.http.dependencies import Id
from service.http.limits.call_turn import end_turn
from service.store.alerts import alerts
from service.store.session import transaction

log = structlog.get_logger()

TICK_S = 0.25
LONGEST_SILENCE_S = 0.7
"""With a tick added it stays under the second that the API promises."""
RECONNECT_MS = 2000
WATCHER_CHECK_S = 3.0
"""How long a watcher whose session was closed still hears; with a revoked key, 2 s more."""
MAX_WATCHERS = 500
MOST_OF_ONE_CALLER = 100
"""Streams of one key or one person in a process: a fifth, so that a broken program of somebody's
leaves the others theirs."""
READING_THREADS = 2
"""Threads that may read alerts for watchers, so that requests keep theirs."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An alert's report as JSON; a final one will not change again by itself."""

    json: str
    final: bool


@dataclass(slots=True)
class _Watch:
    """An alert with watchers. The lock lets one of them read, and the others share the result."""

    watchers: int = 0
    read_at: float = float("-inf")
    snapshot: Snapshot | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class AlertWatches:
    """The newest snapshot of every alert that somebody watches in this process."""

    read: Callable[[int], Snapshot]
    watches: dict[int, _Watch] = field(default_factory=dict)
    callers: Counter[str] = field(default_factory=Counter)
    threads: anyio.CapacityLimiter = field(
        default_factory=lambda: anyio.CapacityLimiter(READING_THREADS)
    )

    @contextmanager
    def watching(self, alert_id: int, caller: str) -> Iterator[None]:
        """Count a watcher of this alert while the block lasts; refuse more than we can serve."""
        if self.callers.total() >= MAX_WATCHERS:
            raise Unavailable("Too many are watching alerts just now.", retry_after=5)
        if self.callers[caller] >= MOST_OF_ONE_CALLER:
            raise TooMany(f"You have {MOST_OF_ONE_CALLER} streams open here: close some.", 5)
        watch = self.watches.setdefault(alert_id, _Watch())
        watch.watchers += 1
        self.callers[caller] += 1
        try:
            yield
        finally:
            self.callers[caller] -= 1
            if not self.callers[caller]:
                del self.callers[caller]
            watch.watchers -= 1
            if not watch.watchers:
                del self.watches[alert_id]

    async def latest(self, alert_id: int) -> Snapshot:
        """Return a snapshot at most a tick old, or the last one while Postgres is away."""
        watch = self.watches[alert_id]
        async with watch.lock:
            if time.monotonic() - watch.read_at >= TICK_S:
                watch.snapshot = await self._read(alert_id, watch.snapshot)
                watch.read_at = time.monotonic()
            if watch.snapshot is None:
                raise Unavailable(DATABASE_AWAY)
            return watch.snapshot

    async def _read(self, alert_id: int, last: Snapshot | None) -> Snapshot | None:
        try:
            return await anyio.to_thread.run_sync(self.read, alert_id, limiter=self.threads)
        except SQLAlchemyError as error:
            log.warning("alert not read", alert=alert_id, error=type(error).__name__)
            return last

    async def may_watch(self, check: Callable[[], bool]) -> bool:
        """Say what `check` says of the watcher; while Postgres is away, that nothing changed."""
        try:
            return await anyio.to_thread.run_sync(check, limiter=self.threads)
        except SQLAlchemyError:
            return True

    async def events(
        self, alert_id: int, check: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[ServerSentEvent]:
        """Yield the totals at once, at every change and every second, until they are final.

        They end too when `check`, asked every `WATCHER_CHECK_S`, says that the watcher may not
        watch any more. The caller is within `watching`, and cancels the iteration when the watcher
        has gone.
        """
        yield ServerSentEvent(retry=RECONNECT_MS)
        json, sent_at, checked_at = "", float("-inf"), time.monotonic()
        while True:
            if time.monotonic() - checked_at >= WATCHER_CHECK_S:
                if not await self.may_watch(check):
                    return
                checked_at = time.monotonic()
            snapshot = await self.latest(alert_id)
            if snapshot.json != json or time.monotonic() - sent_at >= LONGEST_SILENCE_S:
                json, sent_at = snapshot.json, time.monotonic()
                yield ServerSentEvent(event="totals", raw_data=json)
            if snapshot.final:
                return
            await asyncio.sleep(TICK_S)


def open_watches(engine: Engine, site: str) -> AlertWatches:
    """Return the watches of one process; `site` is the setting PUBLIC_URL."""

    def read(alert_id: int) -> Snapshot:
        with transaction(engine) as session:
            report = require(alerts.report(session, alert_id), "alert")
        final = report.alert.state.final and not report.totals.open
        return Snapshot(show_alert(report, site).model_dump_json(), final)

    return AlertWatches(read)


async def _watch(
    request: Request, response: Response, alert_id: Id, caller: AlertWriter
) -> AsyncIterator[AlertWatches]:
    """Watch while the response lasts. A refusal comes here, before the stream has begun."""
    response.headers["Cache-Control"] = "no-store"
    watches: AlertWatches = request.app.state.alert_watches
    end_turn(request.scope)
    with watches.watching(alert_id, caller.name):
        await watches.latest(alert_id)
        yield watches


WatchesDep = Annotated[AlertWatches, Depends(_watch, scope="request")]
