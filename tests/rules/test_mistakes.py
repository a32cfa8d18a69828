"""The README's table of mistakes names tests of ours; each of them must exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
README = (TESTS.parent / "README.md").read_text()
HEADING = "## Mistakes we test for"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
AT_LEAST = 20


@pytest.fixture(scope="module")
def rows() -> list[str]:
    """Return the table's rows, without its head."""
    if HEADING not in README:
        pytest.skip(f"the README has no section {HEADING!r}")
    section = README.split(HEADING)[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


@cache
def functions_of(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_mistake_names_a_test(rows):
    assert len(rows) >= AT_LEAST
    unnamed = [row for row in rows if not NAMED.search(row.split("|")[-2])]
    assert not unnamed


def test_every_test_named_exists(rows):
    named = [found for row in rows for found in NAMED.findall(row)]
    missing = [f"{file}::{name}" for file, name in named if name not in functions_of(TESTS / file)]
    assert not missing


def test_no_test_for_a_known_mistake_is_left_out_of_the_table(rows):
    told = {found for row in rows for found in NAMED.findall(row)}
    files = sorted(TESTS.glob("*/test_known_mistakes.py"))
    assert files
    written = {
        (str(file.relative_to(TESTS)), name)
        for file in files
        for name in functions_of(file)
        if name.startswith("test_")
    }
    assert written <= told
