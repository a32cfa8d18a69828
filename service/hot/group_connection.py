"""The connection that the groups of a thread share while one follows the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from service.store.driver_statement import DRIVER

_PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Groups find every row by a key: one plan serves them all, and it goes by the indexes however
small the tables were when it was made. To plan each time took half of what PostgreSQL does."""
_PLAN_ONCE = "; ".join(f"SET {name} = {value}" for name, value in _PLANNING.items())
_PLAN_AS_OTHERS = "; ".join(f"RESET {name}" for name in _PLANNING)


class GroupConnection:
    """A connection of the engine, taken for the first group and given back at the end.

    One that met an error is given back at once: the next group gets another, which is tried first.
    With `each_commits` each statement commits itself, and is planned once.
    """

    def __init__(self, engine: Engine, *, each_commits: bool) -> None:
        self._engine = engine
        self._each_commits = each_commits
        self._connection: Connection | None = None
        self._session: Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session that commits when its block ends and rolls back when it raises."""
        try:
            session = self._open()
            yield session
            if session.in_transaction():
                session.commit()
                session.expunge_all()
        except BaseException:
            self._close()
            raise

    def _open(self) -> Session:
        """Return the session that all groups on this connection share."""
        if self._session is not None:
            return self._session
        connection = self._connection = self._engine.connect()
        session = Session(connection, expire_on_commit=False)
        if self._each_commits:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(_PLAN_ONCE)
            connection.commit()
            session.info[DRIVER] = connection.connection.driver_connection
        self._session = session
        return session

    def _close(self) -> None:
        session, self._session = self._session, None
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if session is not None:
                session.close()
            if self._each_commits and not connection.invalidated:
                connection.exec_driver_sql(_PLAN_AS_OTHERS)
        except SQLAlchemyError:
            connection.invalidate()
        finally:
            connection.close()
