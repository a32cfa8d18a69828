"""The connection that the groups of a thread share while one follows the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine
from sqlmodel import Session


class GroupConnection:
    """A connection of the engine, taken for the first group and given back at the end.

    One that met an error is given back at once: the next group gets another, which is tried first.
    With `each_commits` each statement commits itself.
    """

    def __init__(self, engine: Engine, *, each_commits: bool) -> None:
        self._engine = engine
        self._each_commits = each_commits
        self._connection: Connection | None = None

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
            with Session(self._connect(), expire_on_commit=False) as session:
                yield session
                session.commit()
        except BaseException:
            self._close()
            raise

    def _connect(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            if self._each_commits:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
