"""Group commit: every call is answered after its commit, and none spoils its neighbour."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.domain.errors import Unavailable
from service.hot import group_commit
from service.hot.group_commit import GroupCommit


@pytest.fixture
def table(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE written (n int PRIMARY KEY CHECK (n <> 13))"))
    yield
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE written"))


@pytest.fixture
def groups():
    return []


@pytest.fixture
def group(engine, table, groups):
    def write(session, items):
        groups.append(list(items))
        values = {"ns": list(items)}
        session.execute(text("INSERT INTO written SELECT unnest(CAST(:ns AS int[]))"), values)
        return items

    with ThreadPoolExecutor(1) as threads:
        yield GroupCommit(engine, threads.submit, write, keys=lambda n: (n % 1000,))


@pytest.fixture
def count(engine):
    def count():
        with engine.connect() as connection:
            return connection.execute(text("SELECT count(*) FROM written")).scalar()

    return count


def submit_all(group, items):
    async def main():
        calls = (group.submit(item) for item in items)
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(main())


def test_calls_that_wait_together_share_commits_and_get_their_own_results(group, groups, count):
    assert submit_all(group, range(50)) == [*range(13), None, *range(14, 50)]
    assert count() == 49
    assert max(len(one) for one in groups) > 1


def test_a_row_that_fails_spoils_no_neighbours(group, count):
    assert submit_all(group, [12, 13, 14]) == [12, None, 14]
    assert count() == 2


def test_two_calls_about_the_same_thing_are_in_different_groups(group, groups):
    assert submit_all(group, [1, 2, 1001, 3]) == [1, 2, 1001, 3]
    assert all(len({n % 1000 for n in one}) == len(one) for one in groups)


def test_a_full_queue_refuses_with_the_time_to_wait(group, monkeypatch):
    monkeypatch.setattr(group_commit, "MAX_WAITING", 8)
    outcomes = submit_all(group, range(100, 200))
    refusals = [one for one in outcomes if isinstance(one, Unavailable)]
    assert refusals
    assert all(refusal.retry_after > 0 for refusal in refusals)
    assert len(refusals) < len(outcomes)


def test_while_postgres_is_away_all_are_refused_and_nothing_is_tried_row_by_row(engine, groups):
    def write(session, items):
        groups.append(list(items))
        raise OperationalError("", {}, Exception("the server closed the connection"))

    with ThreadPoolExecutor(1) as threads:
        outcomes = submit_all(GroupCommit(engine, threads.submit, write), range(20))
    assert {type(one) for one in outcomes} == {OperationalError}
    assert sum(len(one) for one in groups) <= 20


def test_one_failure_answers_for_all_that_wait_for_their_turn(engine, groups):
    def write(session, items):
        groups.append(list(items))
        raise OperationalError("", {}, Exception("the server closed the connection"))

    with ThreadPoolExecutor(1) as threads:
        group = GroupCommit(engine, threads.submit, write, keys=lambda _: ("the same",))
        outcomes = submit_all(group, range(50))
    assert {type(one) for one in outcomes} == {OperationalError}
    assert len(groups) < 10


def test_a_locked_row_is_no_reason_to_refuse_others(engine, monkeypatch):
    monkeypatch.setattr(group_commit, "MAX_GROUP", 1)

    def write(session, items):
        if items == [3]:
            raise OperationalError("", {}, LockNotAvailable())
        return items

    with ThreadPoolExecutor(1) as threads:
        outcomes = submit_all(GroupCommit(engine, threads.submit, write), range(20))
    assert isinstance(outcomes.pop(3), OperationalError)
    assert outcomes == [*range(3), *range(4, 20)]


def test_a_group_whose_results_do_not_match_writes_nothing_and_goes_on(engine, table, count):
    def write(session, items):
        values = {"ns": list(items)}
        session.execute(text("INSERT INTO written SELECT unnest(CAST(:ns AS int[]))"), values)
        return items[1:]

    with ThreadPoolExecutor(1) as threads:
        group = GroupCommit(engine, threads.submit, write)
        assert submit_all(group, range(3)) == [None] * 3
        assert submit_all(group, range(3)) == [None] * 3
    assert count() == 0


@pytest.mark.parametrize(
    ("write_s", "gather_s"), [(0.0, 0.004), (0.004, 0.004), (0.012, 0.012), (3.0, 0.025)]
)
def test_calls_gather_as_long_as_the_group_before_took_within_limits(write_s, gather_s):
    assert group_commit.gather_seconds(write_s) == gather_s
