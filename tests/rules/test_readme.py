"""What the README says is there, and what is there the README says."""

import re
from pathlib import Path

import typer.main

from service.cli import app
from service.commands.settings import as_markdown

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def paths_of(command, name: str) -> set[str]:
    """Every command that does something, as a person types it."""
    children = getattr(command, "commands", None)
    if children is None:
        return {name}
    return {path for child in children for path in paths_of(children[child], f"{name} {child}")}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_table_of_settings_is_the_generated_one():
    table = README.split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    assert table.strip() == as_markdown(), "paste what `newszop settings --markdown` prints"


def test_every_command_is_told_and_none_is_invented():
    told = set(re.findall(r"`(newszop [a-z]+(?: [a-z]+)?)`", README))
    assert told == paths_of(typer.main.get_command(app), "newszop")


def test_every_make_target_told_exists():
    told = set(re.findall(r"`make ([a-z]+)`", README)) | set(
        re.findall(r"^make ([a-z]+)", README, re.MULTILINE)
    )
    assert {"run", "test", "check", "bench", "chaos"} <= told <= targets()


def test_every_place_told_exists():
    places = set(re.findall(r"`((?:service|workers|tests)/[\w/.]*)`", README))
    missing = [place for place in places if not (ROOT / place).exists()]
    assert len(places) > 20
    assert not missing


def test_every_folder_of_code_is_told():
    parts = ("service", "workers")
    folders = {
        f"{path.parent.relative_to(ROOT)}/" for p in parts for path in (ROOT / p).rglob("*.py")
    }
    inner = {"service/store/migrations/", "service/store/migrations/versions/"}
    told = set(re.findall(r"`((?:service|workers)/[\w/]*)`", README))
    assert folders - inner <= told


def test_every_kind_of_test_is_told():
    row = next(line for line in README.splitlines() if line.startswith("| `tests/`"))
    kinds = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("*.py"))}
    assert kinds <= set(re.findall(r"`(\w+)`", row))
