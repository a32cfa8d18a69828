"""What the READMEs say is there, and what is there the READMEs say."""

import re
from pathlib import Path

import pytest
import typer.main

from service.cli import app
from service.commands.settings import as_markdown
from tests.rules.readmes import HOMES, above, readmes
from tests.rules.source import ROOT, modules, report

COMMAND = re.compile(r"`(newszop [a-z]+(?: [a-z]+)?)[ `]")
PLACE = re.compile(r"`((?:service|workers|tests)/[\w/.]*)`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
QUOTED = re.compile(r"`([\w/.]+)`")
SMALLEST, LARGEST = 6_000, 8_192


def paths_of(command, name: str) -> set[str]:
    """Every command that does something, as a person types it."""
    children = getattr(command, "commands", None)
    if children is None:
        return {name}
    return {path for child in children for path in paths_of(children[child], f"{name} {child}")}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_readme_is_read_in_five_minutes():
    size = len(readmes()["README.md"].encode())
    assert SMALLEST <= size <= LARGEST, f"README.md has {size:,} bytes"


@pytest.mark.parametrize("home", HOMES)
def test_each_reader_has_a_readme(home):
    names = set(readmes())
    assert home in names


def test_the_table_of_settings_is_the_generated_one():
    text = readmes()["service/README.md"]
    table = text.split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    assert table.strip() == as_markdown(), "paste what `newszop settings --markdown` prints"


def test_every_command_is_described_and_none_is_invented():
    commands = paths_of(typer.main.get_command(app), "newszop")
    names = set(COMMAND.findall(readmes()["service/README.md"]))
    assert commands <= names, report(*sorted(commands - names))
    groups = {" ".join(command.split()[:2]) for command in commands}
    for name, text in readmes().items():
        inventions = set(COMMAND.findall(text)) - commands - groups
        assert not inventions, report(name, *sorted(inventions))


def test_every_make_target_named_exists():
    texts = "\n".join(readmes().values())
    names = set(re.findall(r"`make ([a-z]+)", texts))
    names |= set(re.findall(r"^make ([a-z]+)", texts, re.MULTILINE))
    assert {"run", "test", "check", "bench", "chaos"} <= names
    assert names <= targets(), report(*sorted(names - targets()))


def test_every_place_named_exists():
    places = {
        (name, place)
        for name, text in readmes().items()
        for place in [*PLACE.findall(text), *LINK.findall(text)]
    }
    breaches = [
        f"{name}: {place}"
        for name, place in sorted(places)
        if not (ROOT / place).exists() and not (ROOT / name).parent.joinpath(place).exists()
    ]
    assert len(places) > 20
    assert not breaches, report(*breaches)


def names_of(folder: Path) -> bool:
    """Whether a README above the folder, or in it, says what it is for."""
    for place in above(folder):
        text = readmes().get(str(place / "README.md"))
        if text is None:
            continue
        inner = str(folder.relative_to(place))
        names = {name.rstrip("/") for name in QUOTED.findall(text)}
        if place == folder or {str(folder), inner} & names:
            return True
    return False


def test_every_folder_of_code_is_described():
    folders = {module.path.parent for module in modules("service", "workers")}
    breaches = [f"{folder}/" for folder in sorted(folders) if not names_of(folder)]
    assert not breaches, report(*breaches)


def test_every_kind_of_test_is_described():
    text = readmes()["tests/README.md"]
    kinds = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("*.py"))}
    names = {name.removeprefix("tests/").rstrip("/") for name in QUOTED.findall(text)}
    assert kinds <= names, report(*sorted(kinds - names))
