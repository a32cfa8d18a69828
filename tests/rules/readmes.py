"""Every README of the project, and where a section of theirs stands."""

from functools import cache
from pathlib import Path

from tests.rules.source import ROOT, files

HOMES = (
    "README.md",
    "service/README.md",
    "workers/README.md",
    "workers/providers/README.md",
    "tests/README.md",
    "tests/bench/README.md",
    "tests/chaos/README.md",
    "tests/providers/README.md",
)


@cache
def readmes() -> dict[str, str]:
    """Return the text of each README by its path from the root."""
    paths = [path for path in files() if path.name == "README.md"]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def home_of(mark: str, home: str) -> str:
    """Return the README that holds the mark: its home, or the one at the top until it moves."""
    text = readmes().get(home, "")
    return text if mark in text else readmes()["README.md"]


def above(folder: Path) -> list[Path]:
    """Return the folder and those it stands in, up to the root, as paths from the root."""
    return [folder, *folder.parents]
