"""The table of OWASP ASVS names tests of ours; each of them must exist, and every row says how."""

import re

from tests.rules.source import ROOT, report
from tests.rules.test_mistakes import named_in, tests  # noqa: F401 - a fixture

CHAPTERS = 17
LEVELS_1_AND_2 = """
    1.1.1-2 1.2.1-9 1.3.1-11 1.4.1-3 1.5.1-2 2.1.1-3 2.2.1-3 2.3.1-4 2.4.1 3.2.1-2 3.3.1-4 3.4.1-6
    3.5.1-5 3.7.1-2 4.1.1-3 4.2.1 4.3.1-2 4.4.1-4 5.1.1 5.2.1-3 5.3.1-2 5.4.1-3 6.1.1-3 6.2.1-12
    6.3.1-4 6.4.1-4 6.5.1-5 6.6.1-3 6.8.1-4 7.1.1-3 7.2.1-4 7.3.1-2 7.4.1-5 7.5.1-2 7.6.1-2
    8.1.1-2 8.2.1-3 8.3.1 8.4.1 9.1.1-3 9.2.1-4 10.1.1-2 10.2.1-2 10.3.1-4 10.4.1-11 10.5.1-5
    10.6.1-2 10.7.1-3 11.1.1-2 11.2.1-3 11.3.1-3 11.4.1-4 11.5.1 11.6.1 12.1.1-3 12.2.1-2 12.3.1-4
    13.1.1 13.2.1-5 13.3.1-2 13.4.1-5 14.1.1-2 14.2.1-4 14.3.1-3 15.1.1-3 15.2.1-3 15.3.1-7 16.1.1
    16.2.1-5 16.3.1-4 16.4.1-3 16.5.1-3 17.1.1 17.2.1-4 17.3.1-2
"""
"""The requirements of ASVS 5.0.0 (github.com/OWASP/ASVS, 5.0/en): section, dot, numbers."""
NAMED = re.compile(r"(\d+)\.(\d+)\.(\d+)(?: - (\d+)\.(\d+)\.(\d+))?")
Requirement = tuple[int, int, int]


def rows() -> list[str]:
    text = (ROOT / "tests/security.md").read_text()
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_every_test_that_the_table_of_security_names_exists(tests):  # noqa: F811
    names = named_in(rows())
    assert len(names) > 50
    assert names <= tests, report(*(f"{file}::{name}" for file, name in sorted(names - tests)))


def test_the_table_of_security_covers_every_chapter_and_leaves_no_row_open():
    requirements = [row.split("|")[1].strip() for row in rows()]
    chapters = {name.split(".")[0] for name in requirements if name[0].isdigit()}
    assert {str(n) for n in range(1, CHAPTERS + 1)} == chapters
    for row in rows():
        requirement, _, answer = (cell.strip() for cell in row.split("|")[1:4])
        assert answer or requirement.startswith("**"), row


def requirements() -> set[Requirement]:
    numbers = set()
    for word in LEVELS_1_AND_2.split():
        chapter, section, ranges = word.split(".")
        for part in ranges.split(","):
            first, _, last = part.partition("-")
            numbers |= {
                (int(chapter), int(section), n) for n in range(int(first), int(last or first) + 1)
            }
    return numbers


def named_requirements(row: str) -> set[Requirement]:
    """Return the requirements that a row is about, also those within its ranges."""
    named = set()
    for match in NAMED.finditer(row.split("|")[1]):
        first = (int(match[1]), int(match[2]), int(match[3]))
        last = (int(match[4]), int(match[5]), int(match[6])) if match[4] else first
        named |= {first} | {number for number in requirements() if first <= number <= last}
    return named


def test_every_requirement_of_levels_one_and_two_has_one_row():
    by_row = [named_requirements(row) for row in rows()]
    named = [number for numbers in by_row for number in numbers]
    assert requirements() - set(named) == set()
    assert sorted(named) == sorted(set(named))
