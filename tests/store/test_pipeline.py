"""Several statements in one round trip: still one transaction, with limits, behind a pooler too."""

import pytest
from sqlalchemy import exc, text
from sqlmodel import Session

from service.store.driver_statement import DriverStatement
from service.store.pipeline import Query, run_pipeline
from service.store.session import DATABASE_AWAY, open_engine, transaction
from tests.store.strict_pooler import StrictPooler
from tests.store.test_connections import pooler, through

__all__ = ["pooler"]
ADD = DriverStatement("INSERT INTO topic (id, path, label) VALUES (:id, :path, 'A') RETURNING id")
TOUCH = DriverStatement("UPDATE topic SET label = 'B' WHERE id = :id")
LIMITS = DriverStatement(
    "SELECT current_setting('statement_timeout') AS statement, "
    "current_setting('lock_timeout') AS lock"
)
LOCK_WAIT_S = 0.1


def paths(engine):
    with transaction(engine) as session:
        return list(session.execute(text("SELECT path FROM topic ORDER BY id")).scalars())


def add(number, path):
    return Query(ADD, {"id": number, "path": path})


def test_each_query_returns_its_rows_and_all_are_committed(engine):
    queries = [add(1, "a"), Query(TOUCH, {"id": 1}), add(2, "b")]
    first, second, third = run_pipeline(engine, queries, LOCK_WAIT_S)
    assert ([row.id for row in first], second, [row.id for row in third]) == ([1], [], [2])
    assert paths(engine) == ["a", "b"]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_one_query_that_fails_leaves_nothing_of_the_others(engine, failing):
    run_pipeline(engine, [add(9, "z")], LOCK_WAIT_S)
    queries = [add(1, "a"), add(2, "b")]
    queries.insert(failing, add(9, "twice"))
    with pytest.raises(exc.IntegrityError):
        run_pipeline(engine, queries, LOCK_WAIT_S)
    assert paths(engine) == ["z"]
    run_pipeline(engine, [add(1, "a")], LOCK_WAIT_S)
    assert paths(engine) == ["a", "z"]


def test_a_row_that_is_locked_is_waited_for_no_longer_than_it_was_allowed(engine):
    run_pipeline(engine, [add(1, "a")], LOCK_WAIT_S)
    with transaction(engine) as holder:
        holder.execute(text("SELECT * FROM topic FOR UPDATE"))
        with pytest.raises(exc.OperationalError, match="lock timeout"):
            run_pipeline(engine, [Query(TOUCH, {"id": 1})], LOCK_WAIT_S)
    run_pipeline(engine, [Query(TOUCH, {"id": 1})], LOCK_WAIT_S)


def test_a_server_that_takes_no_writes_any_more_is_left(engine):
    pool = engine.pool
    read_only = Query(DriverStatement("SET TRANSACTION READ ONLY"), {})
    with pytest.raises(DATABASE_AWAY):
        run_pipeline(engine, [read_only, add(1, "a")], LOCK_WAIT_S)
    assert engine.pool is not pool


def test_a_statement_of_a_session_leaves_such_a_server_too(engine):
    pool = engine.pool
    with Session(engine) as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        query = add(1, "a")
        with pytest.raises(DATABASE_AWAY):
            query.statement.run(session, query.values)
    assert engine.pool is not pool


def test_it_takes_one_round_trip_and_no_more_behind_a_pooler(
    pooler: StrictPooler,
    database_url: str,
) -> None:
    engine = open_engine(
        through(pooler, database_url), pool_size=1, pooler=True, ping_after_s=600.0
    )
    run_pipeline(engine, [], LOCK_WAIT_S)
    for number in range(12):  # psycopg would prepare a statement at its sixth use
        before = pooler.round_trips
        queries = [Query(LIMITS, {}), add(number, f"a{number}"), Query(LIMITS, {})]
        rows, _, again = run_pipeline(engine, queries, LOCK_WAIT_S)
        assert pooler.round_trips - before == 1
        assert rows == again == [("15s", "100ms")]
    with transaction(engine) as session:
        assert session.execute(text("SHOW lock_timeout")).scalar_one() == "10s"
    engine.dispose()
    assert pooler.faults == []
