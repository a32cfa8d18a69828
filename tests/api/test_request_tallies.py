"""Hot calls are counted in plain numbers: Prometheus reads what observing each would give."""

import asyncio
import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.http.metrics import Requests
from service.metrics import request_tallies

DURATIONS = (0.0, 0.005, 0.0051, 0.3, 14.9, 15.0, 15.1, 99.0)
CALLS = [("/api/me", status, seconds) for status in (200, 503) for seconds in DURATIONS]


def series(registry):
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if not re.match(r"#|\w*_created", line)]


async def tally_all(requests):
    for route, status, seconds in CALLS:
        requests.tallies.count("GET", route, status, seconds)


@pytest.mark.parametrize("end", ["hand_over", "close"])
def test_a_tally_reads_like_each_request_observed(end):
    registries = one_by_one, together = CollectorRegistry(), CollectorRegistry()
    observed, tallied = map(Requests, registries)
    for route, status, seconds in CALLS:
        observed.count("GET", route, status, seconds)
    asyncio.run(tally_all(tallied))
    assert series(together) != series(one_by_one)
    getattr(tallied.tallies, end)()
    assert series(together) == series(one_by_one)
    getattr(tallied.tallies, end)()
    assert series(together) == series(one_by_one)


def test_what_was_counted_is_handed_over_by_itself(monkeypatch):
    monkeypatch.setattr(request_tallies, "HAND_OVER_S", 0.0)
    registry = CollectorRegistry()
    requests = Requests(registry)

    async def call_twice():
        for _ in range(2):
            await tally_all(requests)
            for _ in range(100):
                await asyncio.sleep(0)

    asyncio.run(call_twice())
    line = 'newszop_http_requests_total{method="GET",route="/api/me",status="200"} 16.0'
    assert line in series(registry)
