"""The table of OWASP ASVS names tests of ours; each of them must exist, and every row says how."""

from tests.rules.source import ROOT, report
from tests.rules.test_mistakes import named_in, tests  # noqa: F401 - a fixture

CHAPTERS = 17


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
