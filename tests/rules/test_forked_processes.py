"""What is run in several processes counts as it does in one, also when a process dies."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.forked_processes import NUMBER_BYTES, place, split_parts, take_items

ROOT = Path(__file__).parents[2]
COMMAND = ["-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-rfs", "--processes", "2"]
CONFTEST = """
import os
os.environ["COLLECTOR"] = str(os.getpid())
from tests.forked_processes import pytest_addoption, pytest_runtestloop
"""
FILES = {
    "test_a.py": "def test_passes(tmp_path): pass\ndef test_prints(): print('words'); assert 0",
    "test_b.py": "import os\ndef test_dies(): os._exit(0)\ndef test_never_runs(): pass",
    "test_c.py": "import pytest\n@pytest.mark.skip('why')\ndef test_skips(): pass",
    "test_d.py": "import os\ndef test_is_forked(): assert os.getppid() == PARENT",
}


def test_failures_skips_and_a_process_that_dies_are_reported(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.replace("PARENT", "int(os.environ['COLLECTOR'])"))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    answer = subprocess.run(
        [sys.executable, *COMMAND, f"--rootdir={tmp_path}", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "2 failed, 2 passed, 1 skipped" in answer.stdout
    assert "words" in answer.stdout
    assert "test_b.py::test_dies" in answer.stdout
    assert "the process ended with 0" in answer.stdout


def items_of(*nodeids: str) -> list[Any]:
    return [SimpleNamespace(nodeid=nodeid) for nodeid in sorted(nodeids, key=place)]


def test_files_that_share_a_system_are_one_part_and_come_first() -> None:
    api, journey = "tests/api/test_a.py::test_x", "tests/journeys/test_c.py::test_x"
    other = "tests/journeys/test_d.py::test_x"
    parts = split_parts(items_of(api, journey, other))
    assert [[item.nodeid for item in part] for part in parts] == [[journey, other], [api]]


def test_every_part_is_taken_by_one_process() -> None:
    parts = split_parts(items_of("tests/api/a.py::x", "tests/api/a.py::y", "tests/api/b.py::x"))
    source, sink = os.pipe()
    for number in range(len(parts)):
        os.write(sink, number.to_bytes(NUMBER_BYTES, "big"))
    os.close(sink)
    first, second = take_items(source, parts), take_items(source, parts)
    one = [next(first).nodeid, next(first).nodeid]
    assert [item.nodeid for item in second] == ["tests/api/b.py::x"]
    assert one == ["tests/api/a.py::x", "tests/api/a.py::y"]
    assert list(first) == []
    os.close(source)
