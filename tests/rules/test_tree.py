"""Rules about the tree that no linter knows."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.rules.source import ROOT, files, modules, parts, report

CODE = parts("service", "workers")
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
"""In a function: it ends before."""
MOST_IN_FILE = 300
MOST_FILES = 20
"""Of Python in one folder, `__init__` included."""
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
def content(path: Path) -> bytes:
    return path.read_bytes()


def test_nothing_else_lies_at_the_top():
    tops = {path.relative_to(ROOT).parts[0] for path in files()}
    strangers = {name for name in tops if not name.startswith(".")} - TOP
    assert not strangers


def test_no_module_has_a_name_that_says_nothing():
    paths = [path.relative_to(ROOT) for path in files()]
    breaches = [str(path) for path in paths if REFUSED_NAMES & {path.stem, *path.parts[:-1]}]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("part", CODE)
def test_functions_stay_short(part):
    breaches = [
        f"{module.path}:{node.lineno} {node.name}: {length} lines"
        for module in CODE[part]
        for node in module.functions
        if (length := node.end_lineno - node.lineno + 1) >= MOST_LINES
    ]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("part", CODE)
def test_files_stay_short(part):
    lengths = {module.path: len(module.text.splitlines()) for module in CODE[part]}
    breaches = [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > MOST_IN_FILE]
    assert not breaches, report(*breaches)


def test_folders_stay_small():
    sizes = Counter(module.path.parent for module in modules("service", "workers"))
    breaches = [
        f"{folder}/: {number} files" for folder, number in sizes.items() if number > MOST_FILES
    ]
    assert not breaches, report(*breaches)


def test_every_test_is_named_as_a_sentence():
    breaches = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules("tests")
        if module.path.name.startswith("test_")
        for node in module.functions
        if node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("registry", REGISTRIES)
def test_no_file_names_a_registry(registry):
    breaches = [str(path) for path in files() if registry.encode() in content(path)]
    assert not breaches, report(*breaches)


def test_every_message_has_a_task():
    from service import outbox  # noqa: PLC0415
    from workers.app import app  # noqa: PLC0415

    makers = [outbox.plan_alert, outbox.fan_out_shard, outbox.deliver]
    tasks = {maker(*range(1, maker.__code__.co_argcount), queue="normal").task for maker in makers}
    tasks.add(outbox.deliver_strangers(1).task)
    names = {
        node.args[0].value
        for call in ast.walk(ast.parse(Path(outbox.__file__).read_text()))
        if isinstance(node := call, ast.Call) and getattr(node.func, "id", "") == "Message"
    }
    assert tasks == names
    assert tasks <= set(app.tasks)
