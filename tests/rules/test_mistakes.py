"""The table of mistakes names tests of ours; each of them must exist."""

import re

import pytest

from tests.rules.readmes import readmes
from tests.rules.source import modules, report

HOME = "tests/providers/README.md"
HEADING = "## Mistakes we test for"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
AT_LEAST = 20


@pytest.fixture(scope="module")
def rows() -> list[str]:
    """Return the table's rows, without its head."""
    text = readmes()[HOME]
    assert HEADING in text, f"{HOME} has no section {HEADING!r}"
    section = text.split(HEADING)[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


@pytest.fixture(scope="module")
def tests() -> set[tuple[str, str]]:
    """Return every test as (file below `tests/`, name)."""
    return {
        (str(module.path.relative_to("tests")), node.name)
        for module in modules("tests")
        for node in module.functions
        if node.name.startswith("test_")
    }


def named_in(rows: list[str]) -> set[tuple[str, str]]:
    """Return the tests that a table names; a leading `tests/` may stand or be left out."""
    pairs = {pair for row in rows for pair in NAMED.findall(row)}
    return {(file.removeprefix("tests/"), name) for file, name in pairs}


def test_every_mistake_names_a_test(rows):
    assert len(rows) >= AT_LEAST
    breaches = [row for row in rows if not NAMED.search(row.split("|")[-2])]
    assert not breaches, report(*breaches)


def test_every_test_named_in_the_table_exists(rows, tests):
    breaches = [f"{file}::{name}" for file, name in sorted(named_in(rows) - tests)]
    assert not breaches, report(*breaches)


def test_no_test_for_a_known_mistake_is_left_out_of_the_table(rows, tests):
    known_mistakes = {pair for pair in tests if pair[0].endswith("/test_known_mistakes.py")}
    assert known_mistakes
    breaches = [f"{file}::{name}" for file, name in sorted(known_mistakes - named_in(rows))]
    assert not breaches, report(*breaches)
