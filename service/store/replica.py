"""Reads that a replica may answer: only from what it has replayed by then, else the primary reads.

How far is a place in the primary's log (LSN), recorded when what is to be seen was committed. So a
replica's lag delays nothing for long and changes nobody's answer.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from service.store.session import open_engine

T = TypeVar("T")
WAIT_S = 0.25
"""How long a read waits for the replica to come as far."""
ASK_AGAIN_S = 0.02
LAGGING_REST_S = 1.0
AWAY_REST_S = 5.0
"""How long a replica that lagged, or could not be asked, is left alone: no read waits meanwhile."""

_PLACE = text("SELECT CAST(pg_current_wal_flush_lsn() AS text)")
"""Nobody sees a commit before it is flushed, unless synchronous_commit is off. What is inserted and
not flushed would reach the replica only with the next commit."""
_REPLAYED = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END"
"""How far a replica has come; NULL on a server that is none, as one that was promoted."""
_HAS_REPLAYED = text(f"SELECT {_REPLAYED} >= CAST(:place AS pg_lsn)")
_BEHIND = text(f"SELECT pg_wal_lsn_diff(CAST(:place AS pg_lsn), {_REPLAYED})")


class ReadSource(StrEnum):
    """Who answered a read that the replica could have answered, and why not the replica."""

    REPLICA = "replica"
    LAGGING = "lagging"
    AWAY = "away"


def log_place(session: Session) -> str | None:
    """Return the primary's place in its log: what was committed before is seen from there on.

    None where a server does not tell it, as some that are managed do: no replica is read then.
    """
    try:
        with session.begin_nested():
            place: str = session.execute(_PLACE).scalar_one()
    except DBAPIError:
        return None
    return place


def _count_nothing(_source: ReadSource) -> None:
    """Take what nobody counts."""


@dataclass(slots=True, eq=False)
class Replica:
    """One process's way to a replica; `engine` is None where there is none."""

    engine: Engine | None
    note: Callable[[ReadSource], None] = _count_nothing
    clock: Callable[[], float] = time.monotonic
    _rest_until: float = 0.0
    _rest_reason: ReadSource = ReadSource.AWAY
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def exists(self) -> bool:
        """Whether the settings name a replica."""
        return self.engine is not None

    def read(self, place: str | None, query: Callable[[Session], T]) -> T | None:
        """Return what the query reads as of `place` or later; None: the primary has to be asked.

        It raises nothing: whatever the replica cannot do, the primary can.
        """
        session = self.open_session(place)
        if session is None:
            return None
        try:
            with session:
                result = query(session)
        except (DBAPIError, PoolTimeout):
            self._rest(ReadSource.AWAY)
            return None
        self.note(ReadSource.REPLICA)
        return result

    def open_session(self, place: str | None) -> Session | None:
        """Return a session on the replica, which has come as far as `place`; None: there is none.

        The caller closes it.
        """
        if self.engine is None or place is None:
            return None
        if self.clock() < self._rest_until:
            self.note(self._rest_reason)
            return None
        session = Session(self.engine, expire_on_commit=False)
        try:
            if self._await(session, place):
                return session
            self._rest(ReadSource.LAGGING)
        except SQLAlchemyError:
            self._rest(ReadSource.AWAY)
        session.close()
        return None

    def _await(self, session: Session, place: str) -> bool:
        """Wait until the replica has replayed the place; False: not in time, or it is none."""
        until = self.clock() + WAIT_S
        while True:
            has_replayed = session.execute(_HAS_REPLAYED, {"place": place}).scalar_one()
            session.rollback()  # the next statement sees what was replayed by then
            if has_replayed is not False or self.clock() >= until:
                return bool(has_replayed)
            time.sleep(ASK_AGAIN_S)

    def _rest(self, reason: ReadSource) -> None:
        with self._lock:
            seconds = LAGGING_REST_S if reason is ReadSource.LAGGING else AWAY_REST_S
            self._rest_until, self._rest_reason = self.clock() + seconds, reason
        self.note(reason)

    def examine(self, place: str | None) -> int | None:
        """Return how many bytes of the log it is behind; None: it is no replica. May raise."""
        with Session(self.engine) as session:
            behind = session.execute(_BEHIND, {"place": place}).scalar_one()
        return None if behind is None else max(int(behind), 0)

    def close(self) -> None:
        """Let go of its connections."""
        if self.engine is not None:
            self.engine.dispose()


NO_REPLICA = Replica(None)


def open_replica(
    url: str,
    *,
    pool_size: int = 2,
    pooler: bool = False,
    note: Callable[[ReadSource], None] = _count_nothing,
) -> Replica:
    """Return the way to the replica at `url`; nothing connects before it is used."""
    if not url:
        return NO_REPLICA
    engine = open_engine(url, pool_size=pool_size, name="newszop-replica", pooler=pooler)
    return Replica(engine, note)
