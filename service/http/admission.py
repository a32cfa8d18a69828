"""Who is served at the same time, who waits, and who is told to come again.

A plain endpoint needs a thread and up to two connections (its work's and, for a moment, the one
that looks up who is calling). Whoever has a seat finds both at once; whoever has none holds
nothing while it waits, so nobody waits in a circle. Nobody waits long, either: a room that is
full, or a wait of `PATIENCE_S`, ends in a 503 before anything has been done.

The readers' calls take most of the seats and never all: a flood of registrations, or a rush at
the pages, leaves the newsroom its own. Asynchronous endpoints need no seat; what they ask of
Postgres they ask `in_a_seat`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from inspect import iscoroutinefunction
from typing import TypeVar

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from service.domain.errors import Unavailable

T = TypeVar("T")
WAITING_PER_SEAT = 40
PATIENCE_S = 3.0
RETRY_AFTER_S = 2
NEWSROOM = ("/api/stories", "/api/alerts", "/api/admin", "/desk", "/control", "/login", "/account")
UNSEATED = ("/health", "/metrics")
"""Whoever watches us is answered while nobody else is."""


class Seats:
    """The seats of one process; a quarter of them, at least one, is kept from the readers."""

    def __init__(self, seats: int) -> None:
        self._all = anyio.CapacityLimiter(seats)
        self._readers = anyio.CapacityLimiter(max(1, seats - max(1, seats // 4)))

    @asynccontextmanager
    async def taken(self, path: str) -> AsyncIterator[None]:
        """Sit while the block lasts; raises `Unavailable` when there is no seat in time."""
        lines = [self._all] if path.startswith(NEWSROOM) else [self._readers, self._all]
        me = object()
        async with AsyncExitStack() as held:
            with anyio.move_on_after(PATIENCE_S) as patience:
                for line in lines:
                    await _queue(line, me)
                    held.callback(line.release_on_behalf_of, me)
            if patience.cancelled_caught:
                raise Unavailable("More calls than we can serve.", RETRY_AFTER_S)
            yield


async def _queue(line: anyio.CapacityLimiter, me: object) -> None:
    if line.statistics().tasks_waiting >= WAITING_PER_SEAT * line.total_tokens:
        raise Unavailable("More calls than we can serve.", RETRY_AFTER_S)
    await line.acquire_on_behalf_of(me)


async def _seat(request: Request) -> AsyncIterator[None]:
    path = request.url.path
    if iscoroutinefunction(request.scope["endpoint"]) or path.startswith(UNSEATED):
        yield
        return
    seats: Seats = request.app.state.seats
    async with seats.taken(path):
        yield


SeatTaken = Depends(_seat, scope="function")
"""For the whole application: comes before all else, and ends after the commit."""


async def in_a_seat(request: Request, act: Callable[..., T], *given: object) -> T:
    """Do in a thread what an asynchronous endpoint asks of Postgres."""
    seats: Seats = request.app.state.seats
    async with seats.taken(request.url.path):
        return await run_in_threadpool(act, *given)
