"""In the delivery package each attribute has one writer."""

from pathlib import Path

import pytest

from tests.rules.source import Module, modules, parts, report
from tests.rules.writers import Package, written_twice

STATE = """
from dataclasses import dataclass, field

@dataclass
class Batch:
    states: bytearray
    open: bool = True

    def close(self) -> None:
        self.open = False

@dataclass
class Channel:
    batches: dict[int, Batch] = field(default_factory=dict)
    probe: Batch | None = None
"""


def a_package(body: str) -> Package:
    """Return a package of two files: the classes above, and a function that works on them."""
    files = [Module(Path("state.py")), Module(Path("loop.py"))]
    for module, text in zip(files, (STATE, body), strict=True):
        vars(module)["text"] = text
    return Package(files)


def test_no_attribute_of_the_delivery_package_has_two_writers():
    package = parts("workers")["workers/delivery"]
    others = [
        module
        for module in modules("workers")
        if module not in package and "workers.delivery" in module.text
    ]
    breaches = written_twice(Package(package, others))
    assert not breaches, report(*breaches)


@pytest.mark.parametrize(
    ("line", "attribute"),
    [
        ("for batch in channel.batches.values():\n        batch.open = True", "Batch.open"),
        ("batch = channel.batches[0]\n    batch.open = batch.states = None", "Batch.open"),
        ("if (probe := channel.probe):\n        del probe.open", "Batch.open"),
        ("[batch] = first(channel)\n    batch.open |= False", "Batch.open"),
        ("unknown().open = False", "Batch.open"),
    ],
)
def test_a_second_writer_is_seen_however_it_came_by_the_object(line, attribute):
    [breach] = written_twice(a_package(f"def work(channel: Channel) -> None:\n    {line}\n"))
    assert f" {attribute} is written in loop.py:" in breach
    assert "state.py:10" in breach


@pytest.mark.parametrize(
    "line",
    [
        "channel.batches.clear()",
        "channel.batches[0] = None",
        "channel.batches[0].states[1] = 2",
        "batches = channel.batches\n    batches.pop(1)",
        "heapq.heappush(channel.batches, 1)",
        "del channel.batches[0]",
    ],
)
def test_a_change_in_place_is_a_write(line):
    writes = a_package(f"def work(channel: Channel) -> None:\n    {line}\n").writes
    assert any(write.module == "loop.py" for write in writes)


@pytest.mark.parametrize(
    "line",
    ["channel.batches[0].close()", "channel.batches.get(0)", "batches = {}\n    batches.clear()"],
)
def test_a_call_of_a_method_and_a_variable_of_ones_own_are_no_writes(line):
    writes = a_package(f"def work(channel: Channel) -> None:\n    {line}\n").writes
    assert not any(write.module == "loop.py" for write in writes)
