"""Processes that count in one folder count as one, also once they have ended."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from service.demo.servers import free_port
from service.metrics import process_files
from service.metrics.exposition import serve_counters
from service.settings import new_secret

ROOT = Path(__file__).parents[2]
NEWSZOP = (sys.executable, "-c", "from service.cli import main; main()")
REQUESTS = 40
COUNT = re.compile(
    r'newszop_http_requests_total\{method="GET",route="/api/topics",status="200"\} (\S+)'
)


def get(url: str) -> httpx.Response:
    """Call on a connection of its own; without TLS it need not load all authorities, 30 ms."""
    return httpx.get(url, timeout=5, verify=False)


@pytest.fixture
def site(database_url: str, redis_url: str) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [*NEWSZOP, "serve", "--port", str(port), "--workers", "2"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "NEWSZOP_SECRET_KEY": new_secret(),
        },
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            get(f"{url}/health/live").raise_for_status()
            break
        except httpx.HTTPError:
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(20)


def count(url: str) -> int:
    match = COUNT.search(get(f"{url}/metrics").text)
    return int(float(match[1])) if match else 0


def test_every_process_behind_a_port_reports_the_requests_of_all(site: str) -> None:
    for _ in range(REQUESTS):  # a connection each, so that both processes take some
        assert get(f"{site}/api/topics").status_code == 200
    assert [count(site) for _ in range(8)] == [REQUESTS] * 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(process_files.VARIABLE, str(tmp_path))
    process_files.open_folder()
    return tmp_path


def count_in_a_process(messages: int) -> None:
    code = f"""
from prometheus_client import CollectorRegistry
from service.metrics import definitions
tasks = definitions.PROCESS_TASKS.count(CollectorRegistry())
tasks.labels("sweep", "done").inc({messages})
gauge = definitions.PUSHES_IN_FLIGHT.gauge(CollectorRegistry())
gauge.labels("apns").set({messages})
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_what_ended_processes_have_counted_is_kept_in_one_file_and_their_gauges_go(
    folder: Path,
) -> None:
    for messages in (3, 4, 5):
        count_in_a_process(messages)
    assert len(list(folder.glob("counter_*.db"))) == 3
    for _ in range(2):
        text = process_files.collect(CollectorRegistry()).decode()
        assert 'newszop_tasks_total{outcome="done",task="sweep"} 12.0' in text
        assert "newszop_pushes_in_flight{" not in text
        assert [file.name for file in folder.glob("*.db")] == ["counter_0.db"]


def test_a_new_start_counts_from_0(folder: Path) -> None:
    count_in_a_process(3)
    process_files.open_folder()
    assert "newszop_tasks_total{" not in process_files.collect(CollectorRegistry()).decode()


def test_a_port_of_its_own_answers_prometheus_and_nobody_else(folder: Path) -> None:
    count_in_a_process(3)
    server = serve_counters(("127.0.0.1", 0), "a token")
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        bearer = {"Authorization": "Bearer a token"}
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/else", headers=bearer).status_code == 404
        answer = httpx.get(f"{url}/metrics", headers=bearer)
        assert 'newszop_tasks_total{outcome="done",task="sweep"} 3.0' in answer.text
    finally:
        server.shutdown()
        server.server_close()
