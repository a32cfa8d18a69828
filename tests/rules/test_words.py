"""Which words the code is written in: the field's, in the language of those who read it."""

import re
from collections.abc import Iterable, Iterator
from functools import cache

import pytest

from tests.rules.readmes import readmes
from tests.rules.source import ROOT, Module, files, listed, parts, report, words

CODE = parts("service", "workers")
TESTS = parts("tests")

METAPHORS = listed(
    "shelf shelves voice voices hungry impatient metronome leash leashed sky skies stroke strokes "
    "seat seats unseated copydesk rehearsal rehearsals wording herd lane lanes"
)
METAPHOR_STEMS = ("vouch", "culprit", "specimen", "forecast", "rehears")
REFUSED_IN_NAMES = listed(
    "ledger ledgers notification notifications campaign campaigns segment segments door doors"
)
"""Words that mean several things in this field; a protocol's own member stands in quotes."""

IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
REFUSED_FOR_CLASSES = {"Turn", "Supply", "Ledger"}
PUBLIC = {"provider_door"}
"""The one door from the service to the providers is called so."""

UNDERSTOOD = {
    "service/demo/contents.py": {"sky", "forecast", "voice", "seat", "seats", "lane"},
}
"""News is written in any words."""

NOT_ENGLISH = re.compile(
    r"\ba yes\b|\byeses\b|\bwhoever\b|\banew\b|\bnobody sets\b|\b(?:is|are|was|were) told of\b"
    r"|\bspelt out here\b|\brun(?:s|ning)? dry\b|\bkeeps? house\b",
    re.IGNORECASE,
)
OF_THE_MAKING = re.compile(r"\bissues? #?\d+|\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b")
"""How the project comes about is told by its history, not by its files."""

HINTS = {
    NOT_ENGLISH: ("yes", "whoever", "anew", "sets", "told", "spelt", "dry", "house"),
    OF_THE_MAKING: ("issue", "todo", "fixme", "xxx", "hack"),
}
"""A row without one of these is not searched: it saves seconds."""

THIS = "tests/rules/test_words.py"
"""The one file that has to name what is refused."""


@cache
def is_metaphor(name: str) -> bool:
    return any(w in METAPHORS or w.startswith(METAPHOR_STEMS) for w in words(name))


def metaphors(text: str) -> list[str]:
    """Return the words of the text, and the identifiers in it, that are metaphors of ours."""
    return [name for name in IDENTIFIER.findall(text) if is_metaphor(name)]


def broken_by(path: str, texts: Iterable[tuple[int, str]]) -> Iterator[str]:
    exceptions = UNDERSTOOD.get(path, set())
    for line, text in texts:
        for number, row in enumerate(text.splitlines(), line):
            yield from (
                f"{path}:{number} {name}" for name in metaphors(row) if name not in exceptions
            )


def in_names(module: Module) -> Iterator[str]:
    names = {*module.definitions, (1, module.path.stem)}
    classes = {node.name for node in module.classes} & REFUSED_FOR_CLASSES
    for line, name in sorted(names):
        many_senses = REFUSED_IN_NAMES.intersection(words(name)) and name not in PUBLIC
        if is_metaphor(name) or many_senses or name in classes:
            yield f"{module.path}:{line} {name}"


def in_texts(module: Module) -> list[str]:
    path = str(module.path)
    # comments take a tokenizer: only where there is something to find
    texts = [*module.strings, *(module.comments if metaphors(module.text) else ())]
    return sorted(set(broken_by(path, texts)))


def lines_with(pattern: re.Pattern[str], path: str, text: str) -> list[str]:
    hints = HINTS[pattern]
    rows = enumerate(text.splitlines(), 1)
    likely = [(n, row) for n, row in rows if any(hint in row.lower() for hint in hints)]
    return [f"{path}:{n} {hit.group()}" for n, row in likely if (hit := pattern.search(row))]


@pytest.mark.parametrize("part", CODE)
def test_no_name_is_a_metaphor_or_a_word_of_many_senses(part):
    breaches = [line for module in CODE[part] for line in in_names(module)]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("part", CODE)
def test_no_docstring_comment_or_message_speaks_in_metaphors(part):
    breaches = [line for module in CODE[part] for line in in_texts(module)]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("part", TESTS)
def test_no_name_in_a_test_is_a_metaphor(part):
    breaches = [
        line
        for module in TESTS[part]
        if str(module.path) != THIS
        for line in in_names(module)
        if is_metaphor(line.rpartition(" ")[2])
    ]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("part", CODE)
def test_docstrings_and_comments_are_written_in_plain_english(part):
    breaches = [
        line
        for module in CODE[part]
        for line in lines_with(NOT_ENGLISH, str(module.path), module.text)
    ]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("path", readmes())
def test_no_readme_speaks_in_metaphors_or_broken_english(path):
    text = readmes()[path]
    breaches = [*broken_by(path, [(1, text)]), *lines_with(NOT_ENGLISH, path, text)]
    assert not breaches, report(*breaches)


def test_no_file_tells_how_the_project_comes_about():
    kinds = {".py", ".md", ".lua", ".html", ".js", ".css", ".toml", ".yml", ""}
    breaches = [
        line
        for file in files()
        if file.suffix in kinds and (path := str(file.relative_to(ROOT))) != THIS
        for line in lines_with(OF_THE_MAKING, path, file.read_text(errors="replace"))
    ]
    assert not breaches, report(*breaches)


def test_the_rules_see_what_they_refuse():
    text = "def pick(culprits, sky_of): ...  # the Shelf whose lane_width is told, anew"
    assert metaphors(text) == ["culprits", "sky_of", "Shelf", "lane_width"]
    assert not metaphors("risky skyline invoice planet leased islands seated")
    assert lines_with(NOT_ENGLISH, "a.py", text) == ["a.py:1 anew"]
    assert lines_with(OF_THE_MAKING, "a.py", "see issue 7\n") == ["a.py:1 issue 7"]
