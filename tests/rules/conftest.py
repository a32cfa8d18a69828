"""The rules that do not hold yet, in one list: each entry goes as soon as its rule holds.

`pytest tests/rules --runxfail` shows what still breaks them.
"""

import pytest

EVERYWHERE = ""
BEING_BROUGHT_TO_IT: dict[str, str] = {
    "test_names.py::test_classes_are_named_by_nouns": (
        "service/demo workers/credentials workers/standins"
    ),
    "test_names.py::test_no_class_name_stands_twice_in_a_package": (
        "service/domain workers/providers"
    ),
    "test_names.py::test_the_variables_of_a_package_are_named_by_nouns": (
        "service service/actions service/api service/domain workers workers/credentials "
        "workers/delivery workers/gateway workers/pacing workers/provider_kit workers/upkeep"
    ),
    "test_names.py::test_the_variables_of_the_whole_project_are_named_by_nouns": EVERYWHERE,
    "test_names.py::test_the_worst_participles_name_nothing": (
        "service/domain workers workers/credentials workers/gateway workers/pacing"
    ),
    "test_one_place.py::test_a_test_of_the_delivery_needs_no_namespace_for_a_process": EVERYWHERE,
    "test_one_place.py::test_no_sentence_stands_in_two_files": EVERYWHERE,
    "test_words.py::test_docstrings_and_comments_are_written_in_plain_english": (
        "service/domain workers workers/gateway workers/pacing workers/providers workers/upkeep"
    ),
    "test_words.py::test_no_docstring_comment_or_message_speaks_in_metaphors": (
        "service/domain workers workers/credentials workers/standins"
    ),
    "test_words.py::test_no_name_in_a_test_is_a_metaphor": "tests/workers",
    "test_words.py::test_no_name_is_a_metaphor_or_a_word_of_many_senses": (
        "workers/credentials workers/pacing workers/standins workers/upkeep"
    ),
}
"""Tests, each with the packages or files that still break it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark = pytest.mark.xfail(strict=False, reason="being brought to it")
    for item in items:
        test, _, part = item.name.partition("[")
        entry = BEING_BROUGHT_TO_IT.get(f"{item.path.name}::{test}")
        if entry is not None and (part.rstrip("]") in entry.split() or not part):
            item.add_marker(mark)
