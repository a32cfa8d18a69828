"""Admission: how many requests run at once, how many wait, and which are refused with a 503.

A plain endpoint needs a thread and up to two connections (its unit of work's and, for a moment,
the one that looks up the caller). A request with a slot gets both at once, and a request without
one holds nothing, so requests never wait for each other in a circle. The wait is short: a full
queue, or a wait of `MAX_WAIT_S`, ends in a 503 before anything has been done.

Of the callers that wait, each has its turn (`limits/fair_limiter.py`): one with many connections
delays the others as if it had one. Readers' calls take most of the slots but never all: a flood of
registrations, or a rush at the pages, leaves some to the newsroom. And while the newsroom has a
call, readers' calls start in a quarter of the slots only: threads compute one at a time, so each of
them would come in between any two steps of an editor's call. Asynchronous endpoints need no slot;
those that query Postgres do so by `run_admitted`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TypeVar

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from service.domain.people import KEY_PREFIX
from service.http.auth import STAFF_COOKIE
from service.http.forwarded import counted_address
from service.http.limits.call_turn import end_turn
from service.http.limits.fair_limiter import FairLimiter, overloaded
from service.http.limits.known_browsers import BROWSER_COOKIE, read_mark
from service.settings import Settings

T = TypeVar("T")
_KEY = KEY_PREFIX.encode()
_SESSION = f"{STAFF_COOKIE}=".encode()
MAX_WAITING_PER_SLOT = 40
MAX_WAIT_S = 3.0
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
"""Every password costs a processor, so strangers have a quarter of the slots for theirs. A browser
in which somebody has signed in before has all: strangers at many addresses keep no editor out."""


class Admission:
    """The slots of one process; a quarter of them, at least one, is closed to readers."""

    def __init__(self, slots: int) -> None:
        self._quarter = max(1, slots // 4)
        self._rest = max(1, slots - self._quarter)
        self._all = _limiter(slots)
        self._sign_ins = _limiter(self._quarter)
        self._readers = _limiter(self._rest)
        self._newsroom_calls = 0

    @asynccontextmanager
    async def slot(
        self, path: str, caller: str = "", *, is_anonymous: bool = False
    ) -> AsyncIterator[None]:
        """Hold a slot for the block; raises `Unavailable` when none is free in time.

        Callers who wait are served in a circle. A call of the newsroom's without a key or a session
        is somebody else's, and so is a sign-in from a browser that is not known.
        """
        limits = self._limits_of(path, is_anonymous=is_anonymous)
        async with AsyncExitStack() as stack:
            if limits == [self._all]:
                stack.enter_context(self._ahead_of_readers())
            with anyio.move_on_after(MAX_WAIT_S) as timeout:
                for limiter in limits:
                    await limiter.acquire(caller)
                    stack.callback(limiter.release)
            if timeout.cancelled_caught:
                raise overloaded()
            yield

    def must_wait(self, path: str, *, is_anonymous: bool = False) -> bool:
        """Whether a call that comes now gets no slot at once."""
        limits = self._limits_of(path, is_anonymous=is_anonymous)
        return not all(limiter.is_free for limiter in limits)

    @contextmanager
    def _ahead_of_readers(self) -> Iterator[None]:
        """Let fewer readers' calls start while the newsroom has one, running or waiting."""
        self._newsroom_calls += 1
        self._readers.tokens = self._quarter
        try:
            yield
        finally:
            self._newsroom_calls -= 1
            if not self._newsroom_calls:
                self._readers.tokens = self._rest

    def _limits_of(self, path: str, *, is_anonymous: bool) -> list[FairLimiter]:
        if path.startswith((SIGN_IN_PATH, *NEWSROOM_PATHS)) and not is_anonymous:
            return [self._all]
        if path.startswith(SIGN_IN_PATH):
            return [self._sign_ins, self._all]
        return [self._readers, self._all]


def _limiter(tokens: int) -> FairLimiter:
    return FairLimiter(tokens, MAX_WAITING_PER_SLOT * tokens)


async def _admit(request: Request) -> AsyncIterator[None]:
    endpoint = request.scope["endpoint"]
    if iscoroutinefunction(endpoint) or isasyncgenfunction(endpoint):
        yield
        return
    async with _slot(request):
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
    async with _slot(request):
        return await run_in_threadpool(function, *arguments)


def must_wait(request: Request) -> bool:
    """Whether a request gets no slot at once."""
    admission: Admission = request.app.state.admission
    return admission.must_wait(request.url.path, is_anonymous=_is_anonymous(request))


def _slot(request: Request) -> AbstractAsyncContextManager[None]:
    """Return the slot of a request, whose turn on the event loop ends."""
    end_turn(request.scope)
    admission: Admission = request.app.state.admission
    address = counted_address(request.client.host) if request.client else ""
    return admission.slot(request.url.path, address, is_anonymous=_is_anonymous(request))


def _is_anonymous(request: Request) -> bool:
    """Whether a call has nothing that could make it the newsroom's."""
    if not request.url.path.startswith(SIGN_IN_PATH):
        return not has_newsroom_credentials(request.scope["headers"])
    settings: Settings = request.app.state.settings
    cookie = request.cookies.get(BROWSER_COOKIE, "")
    return read_mark(cookie, settings.signing_secrets) is None
