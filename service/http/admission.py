"""Admission: how many requests run at once, how many wait, and which are refused with a 503.

A plain endpoint needs a thread and up to two connections (its unit of work's and, for a moment,
the one that looks up the caller). A request with a slot gets both at once, and a request without
one holds nothing, so requests never wait for each other in a circle. The wait is short: a full
queue, or a wait of `MAX_WAIT_S`, ends in a 503 before anything has been done.

Readers' calls take most of the slots but never all: a flood of registrations, or a rush at the
pages, leaves some to the newsroom. And while the newsroom has a call, readers' calls start in a
quarter of the slots only: threads compute one at a time, so each of them would have its turn
between any two steps of an editor's call. Asynchronous endpoints need no slot; those that query
Postgres do so by `run_admitted`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TypeVar

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from service.domain.errors import Unavailable
from service.domain.people import KEY_PREFIX
from service.http.auth import STAFF_COOKIE

T = TypeVar("T")
_KEY = KEY_PREFIX.encode()
_SESSION = f"{STAFF_COOKIE}=".encode()
MAX_WAITING_PER_SLOT = 40
MAX_WAIT_S = 3.0
RETRY_AFTER_S = 2
NEWSROOM_PATHS = (
    "/api/stories",
    "/api/alerts",
    "/api/ingest",
    "/api/media",
    "/api/admin",
    "/desk",
    "/control",
    "/account",
)
SIGN_IN_PATH = "/login"
"""Strangers may call it and every password costs a processor: a quarter of the slots."""
UNLIMITED_PATHS = ("/health", "/metrics")
"""Monitoring is answered even when nothing else is."""


class _Slots:
    """Slots with a bound on those who wait; fewer of them for a while change no bound."""

    def __init__(self, slots: int) -> None:
        self.limiter = anyio.CapacityLimiter(slots)
        self._max_waiting = MAX_WAITING_PER_SLOT * slots

    async def wait(self, borrower: object) -> None:
        """Take a slot when one is free; raises `Unavailable` when too many wait."""
        if self.limiter.statistics().tasks_waiting >= self._max_waiting:
            raise overloaded()
        await self.limiter.acquire_on_behalf_of(borrower)


class Admission:
    """The slots of one process; a quarter of them, at least one, is closed to readers."""

    def __init__(self, slots: int) -> None:
        self._quarter = max(1, slots // 4)
        self._rest = max(1, slots - self._quarter)
        self._all = _Slots(slots)
        self._sign_ins = _Slots(self._quarter)
        self._readers = _Slots(self._rest)
        self._newsroom_calls = 0

    @asynccontextmanager
    async def slot(self, path: str, *, is_anonymous: bool = False) -> AsyncIterator[None]:
        """Hold a slot for the block; raises `Unavailable` when none is free in time.

        A call of the newsroom's without a key or a session is somebody else's.
        """
        limits = self._limits_of(path, is_anonymous=is_anonymous)
        borrower = object()
        async with AsyncExitStack() as stack:
            if limits == [self._all]:
                stack.enter_context(self._ahead_of_readers())
            with anyio.move_on_after(MAX_WAIT_S) as timeout:
                for slots in limits:
                    await slots.wait(borrower)
                    stack.callback(slots.limiter.release_on_behalf_of, borrower)
            if timeout.cancelled_caught:
                raise overloaded()
            yield

    @contextmanager
    def _ahead_of_readers(self) -> Iterator[None]:
        """Let fewer readers' calls start while the newsroom has one, running or waiting."""
        self._newsroom_calls += 1
        self._readers.limiter.total_tokens = self._quarter
        try:
            yield
        finally:
            self._newsroom_calls -= 1
            if not self._newsroom_calls:
                self._readers.limiter.total_tokens = self._rest

    def _limits_of(self, path: str, *, is_anonymous: bool) -> list[_Slots]:
        if path.startswith(SIGN_IN_PATH):
            return [self._sign_ins, self._all]
        if path.startswith(NEWSROOM_PATHS) and not is_anonymous:
            return [self._all]
        return [self._readers, self._all]


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
    async with admission.slot(
        path, is_anonymous=not has_newsroom_credentials(request.scope["headers"])
    ):
        yield


def has_newsroom_credentials(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a call has what could be an API key or a session of the newsroom's; cheap.

    Readers' tokens and the cookies of readers and of others make nobody a caller of the newsroom.
    """
    return any(
        (name == b"authorization" and value.partition(b" ")[2].strip().startswith(_KEY))
        or (name == b"cookie" and _SESSION in value)
        for name, value in headers
    )


AdmitRequest = Depends(_admit, scope="function")
"""For the whole application: comes before every other dependency, and ends after the commit."""


async def run_admitted(request: Request, function: Callable[..., T], *arguments: object) -> T:
    """Run in a thread, with a slot, what an asynchronous endpoint does with Postgres."""
    admission: Admission = request.app.state.admission
    async with admission.slot(
        request.url.path, is_anonymous=not has_newsroom_credentials(request.scope["headers"])
    ):
        return await run_in_threadpool(function, *arguments)
