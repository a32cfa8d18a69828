"""Values are named by nouns; no class and no file shares its name with a neighbour."""

from functools import cache

import pytest

from tests.rules.source import ATTRIBUTE, listed, modules, parts, report, words

CODE = parts("service", "workers")

FORBIDDEN = listed("found told wished asked kept")
"""Never, not even for a boolean."""

IRREGULAR = listed(
    "begun bought bound breaches brought built caught chosen drawn driven fallen felt forgotten "
    "found frozen given gone got grown heard held hidden kept known laid led left lost made meant "
    "met overtaken put said seen sent shown sold sought spelt spoken spent stood struck swept "
    "taken taught thought told torn understood withdrawn written unbegun unbound undone unheard "
    "unknown unread unsent unseen untold done"
)
NOT_PARTICIPLES = listed("bed bleed breed embed feed need red seed shed speed")
ADVERBS = listed(
    "there here where elsewhere at own ours theirs mine ahead away back again already always never "
    "twice together most which what who whys how whole"
)
STATES = listed(
    "accepted expired buried cancelled gone shown opened planned "  # a delivery, and its counts
    "stopped finished withdrawn retracted published corrected muted disabled confirmed "
    "held paused ended closed done failed unknown "  # a provider, a batch, a connection, a job
    "shared padded compressed encoded signed"  # what cryptography calls its values
)
"""States of the domain, and words of a protocol, that stand for what they say."""

SHARE = 0.01


def says_no_noun(name: str) -> bool:
    """Whether the whole name is a participle or an adverb that is no state of the domain."""
    bare = name.strip("_")
    if "_" in bare or not bare.islower() or bare in STATES:
        return False
    regular = len(bare) > 3 and bare.endswith("ed") and bare not in NOT_PARTICIPLES
    return regular or bare in IRREGULAR or bare in ADVERBS


@cache
def fields() -> set[str]:
    """Return the names of a class's booleans: a state may be a participle."""
    return {
        name
        for module in modules("service", "workers")
        for scope, name in module.flags
        if scope == 0
    }


@cache
def counted(part: str) -> tuple[int, list[str]]:
    """Return how many variables a package has, and those that are named by no noun.

    A name counts once in each function.
    """
    number, breaches = 0, []
    for module in CODE[part]:
        first: dict[tuple[int, str], int] = {}
        for line, name, scope in sorted(module.variables):
            first.setdefault((scope, name), line)
        number += len(first)
        booleans = module.flags | {(ATTRIBUTE, name) for name in fields()}
        breaches += [
            f"{module.path}:{line} {name}"
            for (scope, name), line in first.items()
            if says_no_noun(name)
            and (name.strip("_") in FORBIDDEN or (scope, name) not in booleans)
        ]
    return number, breaches


def clashes(pairs: list[tuple[str, str]]) -> list[str]:
    """Return the names that stand in more than one place, with the places."""
    places: dict[str, list[str]] = {}
    for name, place in pairs:
        places.setdefault(name, []).append(place)
    return [f"{name}: {', '.join(homes)}" for name, homes in places.items() if len(homes) > 1]


@pytest.mark.parametrize("part", CODE)
def test_the_worst_participles_name_nothing(part):
    _, breaches = counted(part)
    worst = [line for line in breaches if line.rpartition(" ")[2].strip("_") in FORBIDDEN]
    worst += [
        f"{module.path}:{node.lineno} {node.name}"
        for module in CODE[part]
        for node in [*module.functions, *module.classes]
        if node.name.strip("_").lower() in FORBIDDEN
    ]
    assert not worst, report(*worst)


@pytest.mark.parametrize("part", CODE)
def test_classes_are_named_by_nouns(part):
    breaches = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in CODE[part]
        for node in module.classes
        if module.path.stem != "errors"  # an exception says what happened
        and len(words(node.name)) == 1
        and says_no_noun(node.name.strip("_").lower())
    ]
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("part", CODE)
def test_the_variables_of_a_package_are_named_by_nouns(part):
    number, breaches = counted(part)
    within = len(breaches) <= max(1, SHARE * number)
    assert within, report(f"{len(breaches)} of {number} in {part}:", *breaches)


def test_the_variables_of_the_whole_project_are_named_by_nouns():
    counts = {
        part: (len(breaches), number) for part in CODE for number, breaches in [counted(part)]
    }
    participles, variables = map(sum, zip(*counts.values(), strict=True))
    shares = [f"{part}: {few} of {number}" for part, (few, number) in counts.items()]
    assert participles < SHARE * variables, report(f"{participles} of {variables}", *shares)


@pytest.mark.parametrize("part", CODE)
def test_no_class_name_stands_twice_in_a_package(part):
    contract = {"Provider", "Settings"} if part == "workers/providers" else set()
    pairs = [
        (node.name, f"{module.path}:{node.lineno}")
        for module in CODE[part]
        for node in module.classes
        if node.name not in contract
    ]
    breaches = clashes(pairs)
    assert not breaches, report(*breaches)


@pytest.mark.parametrize("part", CODE)
def test_no_file_name_stands_twice_in_a_package(part):
    every = {"__init__", "__main__"}
    paths = [module.path for module in CODE[part] if module.path.stem not in every]
    breaches = clashes([(path.stem, str(path)) for path in paths])
    assert not breaches, report(*breaches)


def test_the_rules_see_what_they_refuse():
    participles = ["found", "_kept", "unsent", "announced", "there", "own"]
    nouns = ["held", "seed", "rows", "found_rows", "FOUND", "retry", "value", "tokens"]
    assert [name for name in [*participles, *nouns] if says_no_noun(name)] == participles
    assert clashes([("a", "x"), ("b", "y"), ("a", "z")]) == ["a: x, z"]
