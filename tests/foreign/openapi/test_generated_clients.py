"""The API document through generators that others wrote: what they make of it works as it comes."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.people import People, apns_address
from tests.system import System

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(180), pytest.mark.xdist_group("openapi")]

HERE = Path(__file__).parent
VENV = HERE.parents[2] / ".venv"
NOT_GENERATED = ["POST /api/ingest/newsml-g2"]
"""openapi-python-client knows no body of XML; it says so and leaves the call out."""


def require(program: Path) -> Path:
    if not program.exists():
        pytest.skip(f"no {program.name} here (`make foreign` installs it)")
    return program


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System(processes=1) as running:
        yield running


@pytest.fixture
def document(system: System, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_bytes(system.api.get("/openapi.json").raise_for_status().content)
    return path


def run(*command: object) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout + result.stderr


def test_typescript_takes_the_whole_document(document: Path, tmp_path: Path) -> None:
    programs = VENV / "node/node_modules/.bin"
    types = tmp_path / "api.d.ts"
    run(require(programs / "openapi-typescript"), document, "--output", types)
    run(require(programs / "tsc"), "--noEmit", "--strict", types)
    for path in json.loads(document.read_text())["paths"]:
        assert json.dumps(path) in types.read_text()


def test_a_generated_python_client_works_unmodified(
    system: System, document: Path, tmp_path: Path
) -> None:
    generator = require(VENV / "openapi/bin/openapi-python-client")
    output = run(generator, "generate", "--path", document, "--output-path", tmp_path / "client")
    warnings = [line for line in output.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == len(NOT_GENERATED), output
    assert all(call in line for call, line in zip(NOT_GENERATED, warnings, strict=True)), output

    people, address = People(system), apns_address()
    arguments = (system.url, system.key, people.topic, address)
    path = f"PYTHONPATH={tmp_path / 'client'}"
    script = HERE / "client_journey.py"
    returned = json.loads(run("env", path, VENV / "openapi/bin/python", script, *arguments))

    report = system.finished({"id": returned.pop("alert")})
    assert report["totals"]["accepted"] == 1
    assert returned.pop("alert_repeated") == report["id"]
    device = returned.pop("device")
    assert returned == {
        "device_again": device,
        "devices": [device],
        "follow": people.topic,
        "zone": "Asia/Kolkata",
        "quiet_from": "22:00",
        "no_quiet_hours": None,
        "language": "hi",
        "outcome": "created",
        "report_title": "Rain",
        "refusal_status": 404,
    }
