"""Statements that the driver runs as they are, for what is run hundreds of times a second.

SQLAlchemy takes 0.15 ms of CPU for any statement, and the driver 0.6 ms for the arrays of twelve
devices and 0.1 ms for the names of a row's columns, which are the same each time.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import exc
from sqlmodel import Session

from service.store import binary_arrays

DRIVER = "driver"
"""Where a session's `info` may have the driver's connection, to which every statement goes."""
_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")
_ARRAY = re.compile(r"CAST\(:(\w+) AS (\w+)\[\]\)")


class DriverStatement:
    """One statement, its parameters named as in SQLAlchemy's `text()`; each has its type by CAST.

    The types of empty values cannot be seen from them: `CAST(:names AS text[])`. Arrays are sent
    in binary form where `binary_arrays` knows their type.
    """

    def __init__(self, sql: str) -> None:
        self._sql = _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()
        self._encoders = {
            name: encode
            for name, kind in _ARRAY.findall(sql)
            if (encode := binary_arrays.encoder(kind)) is not None
        }
        self._row: Callable[..., Any] | None = None

    def run(self, session: Session, values: Mapping[str, Any]) -> list[Any]:
        """Run it in the session's transaction; return its rows, with names. Raises as SQLAlchemy.

        A failed connection is not told to the pool: given back, it is tried before its next use.
        But a server that takes no writes any more is left at once, with all its connections.
        """
        driver = session.info.get(DRIVER) or session.connection().connection.driver_connection
        try:
            with self.execute(cast("psycopg.Connection", driver), values) as cursor:
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                connection = session.connection()
                connection.invalidate(error)
                connection.engine.dispose()
            raise as_sqlalchemy_error(error) from error

    def execute(self, driver: psycopg.Connection, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        """Execute it on a cursor of its own, which has the rows. Raises as the driver."""
        encoders = self._encoders
        parameters = {
            name: encoders[name](value) if name in encoders else value
            for name, value in values.items()
        }
        cursor = driver.cursor(binary=True, row_factory=self._row_maker)
        return cursor.execute(self._sql, parameters)

    def _row_maker(self, cursor: Any) -> Callable[..., Any]:
        """Return what makes a row; the columns of a statement are always the same."""
        if self._row is None:
            self._row = namedtuple_row(cursor)
        return self._row


def as_sqlalchemy_error(error: psycopg.Error) -> BaseException:
    """Return the driver's error as SQLAlchemy raises it, without the values of the statement."""
    return exc.DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True)
