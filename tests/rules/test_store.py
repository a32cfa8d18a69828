"""Rules about SQL: where it may stand, and who may change an alert."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRANSITIONS = "service/store/alerts/alert_transitions.py"
TOPIC_MOVES = "service/store/stories/topic_moves.py"
"""It renames topics in scheduled alerts and touches nothing else of them."""
SCHEDULES = "service/store/alerts/schedules.py"
RESTORED = "service/store/alerts/restored_alerts.py"
"""It gives an alert that has not left other words and another time, and never another state."""
CHANGE_OF_AN_ALERT = re.compile(r"UPDATE\s+alert\b|update\((AlertRow|_ALERT)\b", re.IGNORECASE)
SQL_TEXT = re.compile(r"\bimport\b[^\n]*\btext\b|\bsqlalchemy\.text\b")


def sources(*tops: str) -> dict[str, str]:
    paths = (path for top in tops for path in (ROOT / top).rglob("*.py"))
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def columns_set(statement: str) -> set[str]:
    return set(re.findall(r"(\w+) = ", statement.partition("WHERE")[0]))


def test_an_alert_changes_in_one_file_only():
    changing = {
        path
        for path, source in sources("service", "workers").items()
        if "/migrations/" not in path and CHANGE_OF_AN_ALERT.search(source)
    }
    assert changing == {TRANSITIONS, TOPIC_MOVES, SCHEDULES, RESTORED}


def test_a_topic_that_moves_changes_an_alerts_topics_and_nothing_else():
    source = (ROOT / TOPIC_MOVES).read_text()
    statements = re.findall(r'"""\s*UPDATE alert SET(.*?)"""', source, re.DOTALL)
    assert [columns_set(statement) for statement in statements] == [{"topics"}]


def test_a_restoration_marks_alerts_and_changes_nothing_else_of_them():
    source = (ROOT / RESTORED).read_text()
    statements = re.findall(r'"""\s*UPDATE alert (?:a )?SET(.*?)"""', source, re.DOTALL)
    assert [columns_set(statement) for statement in statements] == [{"restored_at"}] * 2


def test_a_schedule_changes_words_and_time_of_a_scheduled_alert_and_nothing_else():
    source = (ROOT / SCHEDULES).read_text()
    [statement] = re.findall(r'"""\s*UPDATE alert SET(.*?)"""', source, re.DOTALL)
    time = {"send_at", "expires_at", "page_due_at", "page_refusals", "wait_reason", "undoable"}
    time |= {"local_release"}
    assert columns_set(statement) == {"title", "body"} | time
    assert "AND state = 'scheduled'" in statement


def test_the_workers_hold_no_sql():
    assert not [path for path, source in sources("workers").items() if SQL_TEXT.search(source)]


@pytest.mark.parametrize(
    "spelling", [r"'planning',\s*'sending'", r"& ?7\b", r"& ?8\b", r"0xF8", r"counts\[\d\]"]
)
def test_what_several_queries_share_is_spelt_once(spelling):
    files = {
        path
        for path, source in sources("service/store").items()
        if "/migrations/" not in path and re.search(spelling, source)
    }
    # An index's condition in the schema must stay as the migration wrote it.
    assert files <= {"service/store/schema/alert_tables.py"}


def test_a_file_of_the_store_queries_in_one_way():
    expressions = re.compile(
        r"^from sql(?:alchemy|model)\S* import .*\b(?:select|update|insert)\b", re.MULTILINE
    )
    text = re.compile(r"^from sqlalchemy import .*\btext\b", re.MULTILINE)
    both = [
        path
        for path, source in sources("service/store").items()
        if "/migrations/" not in path and expressions.search(source) and text.search(source)
    ]
    assert not both


def test_the_migrations_are_one_chain():
    folder = ROOT / "service" / "store" / "migrations" / "versions"
    previous = {}
    for file in folder.glob("0*.py"):
        names = dict(
            re.findall(
                r'^(revision|down_revision)(?::[^=]*)? = "?(\w+)"?$', file.read_text(), re.MULTILINE
            )
        )
        previous[names["revision"]] = names["down_revision"]
    heads = sorted(set(previous) - set(previous.values()))
    assert len(heads) == 1, f"more than one newest migration: {heads}"
    assert len(set(previous.values())) == len(previous), "two migrations follow the same one"


SUBQUERY = re.compile(r'(?:\bIN|=)\s*\(["\s]*SELECT')


def subqueries(source: str) -> list[str]:
    """Return the subqueries of conditions, each to its closing parenthesis."""
    return [to_closing(source[match.start() :]) for match in SUBQUERY.finditer(source)]


def to_closing(text: str) -> str:
    depth = 0
    for place, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == ")" and depth == 0:
            return text[:place]
    return text


def test_no_condition_locks_the_first_rows_of_a_subquery():
    """A nested loop runs it again for each row: it takes others each time. A CTE runs once."""
    assert subqueries("WHERE n IN (SELECT n FROM (a) LIMIT 1 FOR UPDATE) RETURNING n") == [
        "IN (SELECT n FROM (a) LIMIT 1 FOR UPDATE"
    ]
    assert not [
        (path, subquery)
        for path, source in sources("service", "workers").items()
        for subquery in subqueries(source)
        if "LIMIT" in subquery and " FOR " in subquery
    ]
