"""Rules about the tree that no linter knows."""

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {
    "pyproject.toml",
    "service",
    "workers",
    "tests",
    "docker-compose.yml",
    "README.md",
    "Makefile",
    "requirements.lock",
    "LICENSE",
}
REFUSED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
MOST_LINES = 40
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
    )
)


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, those not yet committed included."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return tuple(path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file())
    roots = ("service", "workers", "tests")
    return tuple(p for r in roots for p in (ROOT / r).rglob("*") if p.suffix in {".py", ".md"})


def modules(*tops: str) -> list[Path]:
    found = [path for path in files() if path.suffix == ".py"]
    return [path for path in found if path.relative_to(ROOT).parts[0] in tops]


def functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_nothing_else_lies_at_the_top():
    tops = {path.relative_to(ROOT).parts[0] for path in files()}
    assert {name for name in tops if not name.startswith(".")} <= TOP


def test_no_module_has_a_name_that_says_nothing():
    names = {part for path in files() for part in (path.stem, *path.relative_to(ROOT).parts[:-1])}
    assert not names & REFUSED_NAMES


def test_functions_stay_short():
    too_long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines"
        for path in modules("service", "workers")
        if "migrations" not in path.parts
        for node in functions(path)
        if (length := node.end_lineno - node.lineno + 1) >= MOST_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_every_test_is_named_as_a_sentence():
    terse = [
        f"{path.name}: {node.name}"
        for path in modules("tests")
        if path.name.startswith("test_")
        for node in functions(path)
        if node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert not terse


@pytest.mark.parametrize("registry", REGISTRIES)
def test_no_file_names_a_registry(registry):
    naming = [path for path in files() if registry.encode() in path.read_bytes()]
    assert not naming


def test_every_message_has_a_task():
    from service import outbox  # noqa: PLC0415
    from workers.app import app  # noqa: PLC0415

    makers = [outbox.plan_alert, outbox.fan_out_shard, outbox.deliver]
    sent = {maker(*range(1, maker.__code__.co_argcount), queue="normal").task for maker in makers}
    named = {
        node.args[0].value
        for call in ast.walk(ast.parse(Path(outbox.__file__).read_text()))
        if isinstance(node := call, ast.Call) and getattr(node.func, "id", "") == "Message"
    }
    assert sent == named
    assert sent <= set(app.tasks)
