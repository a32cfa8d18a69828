"""Group commit: calls that wait at the same time are written together, by one transaction.

A call is answered when the commit of its group stands, never before. While one group is being
written, and in a rush for some milliseconds more, the next one gathers: a group grows with the load
and with what else the machine has to do, and a single call waits for nobody.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from service.hot.group_connection import GroupConnection
from service.http.limits.fair_limiter import overloaded
from service.store.session import DATABASE_AWAY

MAX_GROUP = 256
MAX_WAITING = 2048
GATHER_S = 0.004
MAX_GATHER_S = 0.025
"""How long calls gather after a group of several: fewer groups, so less of everything a call. Where
the group took longer to write, as beside an alert, the next one gathers as long, up to the second.
"""
LINGER_S = 0.02
"""How long a thread waits for the next group, with its connection, before it gives both back."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Write: TypeAlias = Callable[[Session, Sequence[Item]], Sequence[Result | None]]
Keys: TypeAlias = Callable[[Item], Iterable[Hashable]]
Outcome: TypeAlias = Result | BaseException | None
_Pairs: TypeAlias = list[tuple[asyncio.Future[Result | None], Outcome[Result]]]
log = structlog.get_logger()


@dataclass(slots=True)
class _Call(Generic[Item, Result]):
    """One call that waits for its group's commit."""

    item: Item
    size: int
    future: asyncio.Future[Result | None]


class GroupCommit(Generic[Item, Result]):
    """Writes items of one kind in groups, in the order in which they come.

    `run` runs a function in a thread. `write` gets an open transaction and the items of a group;
    it returns one result for each, None for an item that it did not write. With `keys` no two items
    of a group have a key in common: the later one waits for the next group. With `each_commits`
    each statement of `write` is a transaction of its own, which saves two of three round trips.
    """

    def __init__(
        self,
        engine: Engine,
        run: Callable[[Callable[[], None]], object],
        write: Write[Item, Result],
        keys: Keys[Item] | None = None,
        *,
        each_commits: bool = False,
    ) -> None:
        self._open = partial(GroupConnection, engine, each_commits=each_commits)
        self._run = run
        self._write = write
        self._keys = keys
        self._lock = threading.Condition()
        self._waiting: deque[_Call[Item, Result]] = deque()
        self._size = 0
        self._is_running = False

    async def submit(self, item: Item, size: int = 1) -> Result | None:
        """Return the item's result after the commit; None when it must go alone.

        Raises `Unavailable` when too many wait, and what Postgres raises while it is away.
        """
        future: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._size + size > MAX_WAITING and self._waiting:
                raise overloaded()
            self._waiting.append(_Call(item, size, future))
            self._size += size
            is_idle, self._is_running = not self._is_running, True
            self._lock.notify()
        if is_idle:
            self._run(self._drain)
        return await future

    def _drain(self) -> None:
        """Write groups until nothing waits; runs in a thread.

        A group that finds Postgres away answers for all that wait: each would wait as long.
        """
        with self._open() as connection:
            while calls := self._take_group():
                begin = time.monotonic()
                outcomes = self._write_items(connection, [call.item for call in calls])
                _resolve(calls, outcomes)
                if len(calls) > 1:
                    time.sleep(gather_seconds(time.monotonic() - begin))
                if all(_is_away(outcome) for outcome in outcomes):
                    calls = self._take_all()
                    _resolve(calls, outcomes[:1] * len(calls))

    def _take_all(self) -> list[_Call[Item, Result]]:
        with self._lock:
            calls = list(self._waiting)
            self._waiting.clear()
            self._size = 0
        return calls

    def _take_group(self) -> list[_Call[Item, Result]]:
        with self._lock:
            if not self._waiting:
                self._lock.wait(LINGER_S)
            calls = self._next_calls()
            self._size -= sum(call.size for call in calls)
            self._is_running = bool(calls)
        return calls

    def _next_calls(self) -> list[_Call[Item, Result]]:
        waiting = self._waiting
        if self._keys is None:
            return [waiting.popleft() for _ in range(min(MAX_GROUP, len(waiting)))]
        in_use: set[Hashable] = set()
        calls: list[_Call[Item, Result]] = []
        later: list[_Call[Item, Result]] = []
        while waiting and len(calls) < MAX_GROUP:
            call = waiting.popleft()
            keys = set(self._keys(call.item))
            (calls if in_use.isdisjoint(keys) else later).append(call)
            in_use |= keys
        waiting.extendleft(reversed(later))
        return calls

    def _write_items(self, connection: GroupConnection, items: list[Item]) -> list[Outcome[Result]]:
        """Write a group; one that fails is halved, so that an item spoils none but itself."""
        try:
            with connection.transaction() as session:
                pairs = zip(items, self._write(session, items), strict=True)
                return [result for _, result in pairs]
        except DATABASE_AWAY as error:
            if len(items) == 1 or not _is_about_items(error):
                return [error for _ in items]
        except Exception as error:  # noqa: BLE001 - the item that is at fault is taken alone again
            if len(items) == 1:
                log.info("call leaves its group", error=type(error).__name__)
                return [None]
        half = len(items) // 2
        first, second = items[:half], items[half:]
        return self._write_items(connection, first) + self._write_items(connection, second)


def gather_seconds(write_s: float) -> float:
    """Return how long the next group gathers after one that took so long to write."""
    return min(max(write_s, GATHER_S), MAX_GATHER_S)


def _is_away(outcome: object) -> bool:
    """Whether Postgres is away for every call, and not for the items of this one."""
    return isinstance(outcome, DATABASE_AWAY) and not _is_about_items(outcome)


def _is_about_items(error: BaseException) -> bool:
    """Whether Postgres is there and refused something: a lock, a deadlock, a statement's time."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in ("40P01", "55P03", "57014")


def _resolve(calls: Sequence[_Call[Item, Result]], outcomes: Sequence[Outcome[Result]]) -> None:
    """Hand the outcomes to the event loops that wait for them, each loop woken once."""
    by_loop: dict[
        asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Result | None], Outcome[Result]]]
    ] = {}
    for call, outcome in zip(calls, outcomes, strict=True):
        by_loop.setdefault(call.future.get_loop(), []).append((call.future, outcome))
    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_all, pairs)


def _set_all(pairs: _Pairs[Result]) -> None:
    for future, outcome in pairs:
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
