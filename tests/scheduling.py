"""Which process runs which tests, when several run them (`pytest -n 3`).

A file's tests run in one process, as its fixtures ask for. Files that share a running system share
a process too, so that fewer systems are started; these parts come first, since they take longest
and no process should be left with one at the end.
"""

from xdist.scheduler import LoadFileScheduling

PARTS = (
    "tests/journeys/test_b",
    "tests/journeys/",
    "tests/web/test_browser",
    "tests/demo/test_demo.py",
    "tests/chaos/",
    "tests/fuzz/",
)
"""Beginnings of paths: what begins alike is one part. The first that fits counts."""


def part_of(nodeid: str) -> str:
    """Return the part of which a test is: one of `PARTS`, or its file."""
    path = nodeid.partition("::")[0]
    return next((part for part in PARTS if path.startswith(part)), path)


def place(nodeid: str) -> int:
    """Return a test's place in the order of parts."""
    part = part_of(nodeid)
    return PARTS.index(part) if part in PARTS else len(PARTS)


class PartScheduling(LoadFileScheduling):  # type: ignore[misc] - xdist has no types
    """Gives each process one part after another, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)
