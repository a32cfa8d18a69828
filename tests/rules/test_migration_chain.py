"""The migrations are one chain: each follows the one with the number before it."""

import ast
from itertools import pairwise

from tests.rules.source import ROOT

VERSIONS = ROOT / "service" / "store" / "migrations" / "versions"


def named(text: str) -> dict[str, str | None]:
    """Return what a migration assigns to names of its module."""
    return {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant)
    }


def test_each_migration_follows_the_one_before_it():
    files = sorted(VERSIONS.glob("[0-9]*.py"))
    names = [named(path.read_text()) for path in files]
    assert [path.name[:4] for path in files] == [f"{n:04}" for n in range(1, len(files) + 1)]
    assert [each["revision"] for each in names] == [path.name[:4] for path in files]
    assert all(later["down_revision"] == earlier["revision"] for earlier, later in pairwise(names))
