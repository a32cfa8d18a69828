"""The rules that do not hold yet, in one list: each entry goes as soon as its rule holds.

`pytest tests/rules --runxfail` shows what still breaks them.
"""

import pytest

BEING_BROUGHT_TO_IT: dict[str, str] = {
    "test_names.py::test_the_variables_of_a_package_are_named_by_nouns": "workers/gateway",
    "test_names.py::test_the_worst_participles_name_nothing": "workers/gateway",
    "test_words.py::test_docstrings_and_comments_are_written_in_plain_english": "workers/gateway",
}
"""Tests, each with the packages or files that still break it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark = pytest.mark.xfail(strict=False, reason="being brought to it")
    for item in items:
        test, _, part = item.name.partition("[")
        entry = BEING_BROUGHT_TO_IT.get(f"{item.path.name}::{test}")
        if entry is not None and (part.rstrip("]") in entry.split() or not part):
            item.add_marker(mark)
