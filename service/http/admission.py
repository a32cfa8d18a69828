"""Admission: how many requests run at once, how many wait, and which are refused with a 503.

A plain endpoint needs a thread and up to two connections (its unit of work's and, for a moment,
the one that looks up the caller). A request with a slot gets both at once, and a request without
one holds nothing, so requests never wait for each other in a circle. The wait is short: a full
queue, or a wait of `MAX_WAIT_S`, ends in a 503 before anything has been done.

Readers' calls take most of the slots but never all: a flood of registrations, or a rush at the
pages, leaves some to the newsroom. Asynchronous endpoints need no slot; those that query Postgres
do so by `run_admitted`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TypeVar

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from service.domain.errors import Unavailable

T = TypeVar("T")
MAX_WAITING_PER_SLOT = 40
MAX_WAIT_S = 3.0
RETRY_AFTER_S = 2
NEWSROOM_PATHS = (
    "/api/stories",
    "/api/alerts",
    "/api/ingest",
    "/api/admin",
    "/desk",
    "/control",
    "/account",
)
SIGN_IN_PATH = "/login"
"""Strangers may call it and every password costs a processor: a quarter of the slots."""
UNLIMITED_PATHS = ("/health", "/metrics")
"""Monitoring is answered even when nothing else is."""


class Admission:
    """The slots of one process; a quarter of them, at least one, is closed to readers."""

    def __init__(self, slots: int) -> None:
        self._all = anyio.CapacityLimiter(slots)
        self._sign_ins = anyio.CapacityLimiter(max(1, slots // 4))
        self._readers = anyio.CapacityLimiter(max(1, slots - max(1, slots // 4)))

    @asynccontextmanager
    async def slot(self, path: str) -> AsyncIterator[None]:
        """Hold a slot for the block; raises `Unavailable` when none is free in time."""
        limiters = [*self._limits_of(path), self._all]
        borrower = object()
        async with AsyncExitStack() as stack:
            with anyio.move_on_after(MAX_WAIT_S) as timeout:
                for limiter in limiters:
                    await _acquire(limiter, borrower)
                    stack.callback(limiter.release_on_behalf_of, borrower)
            if timeout.cancelled_caught:
                raise overloaded()
            yield

    def _limits_of(self, path: str) -> list[anyio.CapacityLimiter]:
        if path.startswith(SIGN_IN_PATH):
            return [self._sign_ins]
        return [] if path.startswith(NEWSROOM_PATHS) else [self._readers]


async def _acquire(limiter: anyio.CapacityLimiter, borrower: object) -> None:
    if limiter.statistics().tasks_waiting >= MAX_WAITING_PER_SLOT * limiter.total_tokens:
        raise overloaded()
    await limiter.acquire_on_behalf_of(borrower)


def overloaded() -> Unavailable:
    """Return the refusal of a call for which there is no room; it says when to come again."""
    return Unavailable("More calls than we can serve.", RETRY_AFTER_S)


async def _admit(request: Request) -> AsyncIterator[None]:
    path, endpoint = request.url.path, request.scope["endpoint"]
    asynchronous = iscoroutinefunction(endpoint) or isasyncgenfunction(endpoint)
    if asynchronous or path.startswith(UNLIMITED_PATHS):
        yield
        return
    admission: Admission = request.app.state.admission
    async with admission.slot(path):
        yield


AdmitRequest = Depends(_admit, scope="function")
"""For the whole application: comes before every other dependency, and ends after the commit."""


async def run_admitted(request: Request, function: Callable[..., T], *arguments: object) -> T:
    """Run in a thread, with a slot, what an asynchronous endpoint does with Postgres."""
    admission: Admission = request.app.state.admission
    async with admission.slot(request.url.path):
        return await run_in_threadpool(function, *arguments)
