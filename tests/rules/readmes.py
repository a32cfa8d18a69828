"""Every README of the project, and those that each reader has."""

from functools import cache
from pathlib import Path

from tests.rules.source import ROOT, files

HOMES = (
    "README.md",
    "service/README.md",
    "workers/README.md",
    "service/formats/README.md",
    "workers/providers/README.md",
    "workers/gateway/http2/README.md",
    "workers/standins/README.md",
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


def above(folder: Path) -> list[Path]:
    """Return the folder and those it stands in, up to the root, as paths from the root."""
    return [folder, *folder.parents]
