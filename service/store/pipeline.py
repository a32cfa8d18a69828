"""Several statements as one transaction in one round trip: what a distant database makes dear.

A transaction of two statements takes four round trips otherwise, and each can lose a packet:
TCP sends one that went alone again after 200 ms and more.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import psycopg
from sqlalchemy import Connection, Engine

from service.store.driver_statement import DriverStatement, as_sqlalchemy_error
from service.store.session import transaction_limits


class Query(NamedTuple):
    """A statement with its values."""

    statement: DriverStatement
    values: Mapping[str, Any]


def run_pipeline(engine: Engine, queries: Sequence[Query], lock_wait_s: float) -> list[list[Any]]:
    """Run the queries in this order in one transaction; return the rows of each, with names.

    All leave before the first result is there. None waits longer than `lock_wait_s` for any lock.
    Whatever raises, nothing of it is committed, unless the connection breaks: then it may be.
    Raises as SQLAlchemy does.
    """
    with engine.connect() as connection:
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        driver.autocommit = True  # we begin and commit ourselves: the driver would wait for each
        try:
            rows = _run(driver, transaction_limits(engine, lock_wait_s), queries)
        except BaseException as error:
            _clear(engine, connection, error)
            if isinstance(error, psycopg.Error):
                raise as_sqlalchemy_error(error) from error
            raise
        driver.autocommit = False
        return rows


def _run(
    driver: "psycopg.Connection[Any]", limits: bytes, queries: Sequence[Query]
) -> list[list[Any]]:
    with driver.pipeline():
        driver.execute(b"BEGIN", prepare=False)
        driver.execute(limits)
        cursors = [query.statement.execute(driver, query.values) for query in queries]
        driver.execute(b"COMMIT", prepare=False)
    return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


def _clear(engine: Engine, connection: Connection, error: BaseException) -> None:
    """Leave a connection that failed; all of them, where the server takes no writes any more."""
    connection.invalidate(error)
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        engine.dispose()
