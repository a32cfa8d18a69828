"""`newszop serve` with several processes behind one port counts as one."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.demo.servers import free_port
from service.settings import new_secret

ROOT = Path(__file__).parents[2]
NEWSZOP = (sys.executable, "-c", "from service.cli import main; main()")
REQUESTS = 40
COUNT = re.compile(
    r'newszop_http_requests_total\{method="GET",route="/api/topics",status="200"\} (\S+)'
)


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
            httpx.get(f"{url}/health/live", timeout=2).raise_for_status()
            break
        except httpx.HTTPError:
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(20)


def count(url: str) -> int:
    match = COUNT.search(httpx.get(f"{url}/metrics").text)
    return int(float(match[1])) if match else 0


def test_every_process_behind_a_port_reports_the_requests_of_all(site: str) -> None:
    for _ in range(REQUESTS):  # a connection each, so that both processes take some
        assert httpx.get(f"{site}/api/topics").status_code == 200
    assert [count(site) for _ in range(8)] == [REQUESTS] * 8
