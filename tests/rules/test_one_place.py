"""One question has one answer, and it stands in one place."""

import ast
import re
from collections.abc import Iterator

from tests.rules.source import Module, modules, parts, report
from tests.rules.test_names import clashes

CODE = modules("service", "workers")
INDEPENDENT = "workers/standins"
"""Written from the providers' rules: what it says again, it says on purpose."""

FROM_THE_RIGHT = {"ar", "fa", "he", "ur"}
SENTENCE = re.compile(r"[A-Z]\w*(?: \S+){2,}\.", re.DOTALL)


def calls(module: Module, name: str) -> Iterator[ast.Call]:
    """Yield every call of a function by its last name."""
    for node in module.nodes:
        if isinstance(node, ast.Call):
            function = node.func
            if name in {getattr(function, "id", None), getattr(function, "attr", None)}:
                yield node


def constants(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the value of each constant that is made of texts, with its place."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            inner = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
            texts = [value for value in inner if isinstance(value, str)]
            has_calls = any(isinstance(n, ast.Call) for n in ast.walk(node.value))
            if not has_calls and sum(map(len, texts)) >= 8:
                yield ast.unparse(node.value), f"{module.path}:{node.lineno}"


def test_no_constant_of_text_stands_twice():
    first_hand = [module for module in CODE if module.part != INDEPENDENT]
    breaches = clashes([pair for module in first_hand for pair in constants(module)])
    assert not breaches, report(*breaches)


def test_no_sentence_stands_in_two_files():
    places: dict[str, set[str]] = {}
    for module in CODE:
        for line, text in set(module.strings) - set(module.docstrings):
            if module.part != INDEPENDENT and SENTENCE.fullmatch(text):
                places.setdefault(text, set()).add(f"{module.path}:{line}")
    breaches = [
        f"{text!r}: {', '.join(sorted(lines))}"
        for text, lines in places.items()
        if len({place.partition(":")[0] for place in lines}) > 1
    ]
    assert not breaches, report(*breaches)


def test_languages_written_from_the_right_stand_in_one_list():
    listing = [
        str(module.path)
        for module in CODE
        if {word for _, text in module.strings for word in text.split()} >= FROM_THE_RIGHT
    ]
    assert len(listing) == 1, report(*listing)


def test_the_queues_are_named_once():
    lines = [
        f"{module.path}:{line}"
        for module in CODE
        for line, name, _ in module.variables
        if name == "QUEUES"
    ]
    assert len(lines) <= 1, report(*lines)


def test_a_verdict_is_read_by_its_type_and_never_by_getattr():
    deciding = [*parts("workers")["workers/delivery"], *parts("service")["service/domain"]]
    breaches = [
        f"{module.path}:{call.lineno} {ast.unparse(call)}"
        for module in deciding
        for name in ("getattr", "hasattr")
        for call in calls(module, name)
    ]
    assert not breaches, report(*breaches)


def test_no_field_of_a_class_is_of_any_type():
    typed_modules = [*modules("workers"), *parts("service")["service/domain"]]
    breaches = [
        f"{module.path}:{field.lineno} {kind.name}.{ast.unparse(field)}"
        for module in typed_modules
        for kind in module.classes
        for field in kind.body
        if isinstance(field, ast.AnnAssign) and re.search(r"\bAny\b", ast.unparse(field.annotation))
    ]
    assert not breaches, report(*breaches)


def test_a_test_of_the_delivery_needs_no_namespace_for_a_process():
    breaches = [
        f"{module.path}:{call.lineno} {ast.unparse(call)[:60]}"
        for module in parts("tests")["tests/workers"]
        for call in calls(module, "SimpleNamespace")
    ]
    assert not breaches, report(*breaches)
