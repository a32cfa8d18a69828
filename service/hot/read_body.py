"""A body that was read once and can be read again by the application behind."""

import asyncio
import time
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from service.hot.call import OrdinaryPath
from service.http.body_deadline import PART_S, in_time, late_body
from service.http.body_limit import MAX_BODY_BYTES, MAX_PARTS, is_small
from service.http.limits.body_memory import BodyMemory, HeldBody

_MOST_DIGITS = 19
CHECK_S = 1.0
"""How often bodies that are being read are looked at; each may take so much longer."""


class Deadlines:
    """Ends the waiting for bodies that do not come, all by one timer.

    A timer for each would cost more than the reading of most bodies, which are here already.
    """

    def __init__(self, limit_s: float = PART_S, check_s: float = CHECK_S) -> None:
        self._limit_s, self._check_s = limit_s, check_s
        self._due: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def receive(self, receive: Receive) -> Message:
        """Return a body's first part; raises `HTTPException` when it does not come in time."""
        task = asyncio.current_task()
        if task is None:
            raise OrdinaryPath
        self._due[task] = time.monotonic() + self._limit_s
        loop = task.get_loop()
        if loop is not self._loop:
            self._loop = loop
            loop.call_later(self._check_s, self._end_late)
        try:
            return await receive()
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise late_body() from None
            raise
        finally:
            del self._due[task]
            self._late.discard(task)

    def _end_late(self) -> None:
        now = time.monotonic()
        for task, due in self._due.items():
            if due <= now:
                self._late.add(task)
                task.cancel()
        if self._due and self._loop is not None:
            self._loop.call_later(self._check_s, self._end_late)
        else:
            self._loop = None


class ReadBody:
    """The body of one request, within the limits of a body that anybody may send."""

    def __init__(self, receive: Receive, deadlines: Deadlines, memory: BodyMemory) -> None:
        self._receive = receive
        self._deadlines = deadlines
        self._memory = memory
        self._messages: list[Message] = []
        self._fault: HTTPException | None = None

    async def read(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Return the whole body; raises `OrdinaryPath` for one that is not to be read here."""
        length = headers.get(b"content-length")
        if length is None:
            if b"transfer-encoding" in headers:
                raise OrdinaryPath
            return b""
        if not length.isdigit() or int(length[:_MOST_DIGITS]) > MAX_BODY_BYTES:
            raise OrdinaryPath
        try:
            body = await self._read_all(int(length))
        except HTTPException as fault:
            self._fault = fault
            raise
        if not is_small(body):
            raise OrdinaryPath
        return body

    async def _read_all(self, length: int) -> bytes:
        """Return all parts; those after the first have the limits of any body.

        The server says that more is to come even when all has come: `length` knows better.
        """
        message = await self._deadlines.receive(self._receive)
        self._messages.append(message)
        if message.get("more_body", False) and len(message.get("body", b"")) < length:
            message = await self._read_rest(length)
        if message["type"] != "http.request":
            raise OrdinaryPath
        return b"".join(part.get("body", b"") for part in self._messages)

    async def _read_rest(self, length: int) -> Message:
        """Return the last part; raises `OrdinaryPath` where such bodies take too much memory."""
        receive, held = in_time(self._receive), HeldBody(self._memory)
        try:
            if not held.hold(length, is_known=False):
                raise OrdinaryPath
            while True:
                message = await receive()
                self._messages.append(message)
                if not message.get("more_body", False):
                    return message
                if len(self._messages) > MAX_PARTS:
                    raise OrdinaryPath
        finally:
            held.release()

    async def replay(self) -> Message:
        """Return what was read, part by part, and then what comes."""
        if self._messages:
            return self._messages.pop(0)
        if self._fault is not None:
            raise self._fault
        return await self._receive()
