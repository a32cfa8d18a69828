"""Servers that flood us beside servers that answer: work and memory stay within bounds."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.certificates import Certificate
from tests.workers.gateways import HEADERS, numbered, settings_for
from tests.workers.h2_server import H2Server
from tests.workers.hostile_server import FLOODS, HostileServer
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway
from workers.provider import Request

HOSTILE, GOOD = 20, 100
MOST_MEMORY = 64 * 1024 * 1024
PAGE = resource.getpagesize()


@pytest.fixture(params=["curl", "wire"])
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def guarded(sender: str, certificate: Certificate) -> Iterator[Gateway]:
    opened = open_gateway(settings_for(sender, certificate.certificate, timeout_s=3))
    opened.open_pool("webpush", 200, guard=lambda _host, _port: True)
    yield opened
    opened.close()


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_costs_neither_memory_nor_the_pushes_to_other_servers(
    guarded: Gateway, server: H2Server, certificate: Certificate, flood: str
) -> None:
    hostile = HostileServer(certificate, *FLOODS[flood])
    refused = [Request(f"{hostile.origin}/{n}", HEADERS, b"%d" % n) for n in range(HOSTILE)]
    good = numbered(server, GOOD)
    before = peak = memory()
    begin = time.monotonic()

    for request in (*refused, *good):
        guarded.submit("webpush", request)
    answers = {}
    slowest_good = 0.0
    while len(answers) < HOSTILE + GOOD and time.monotonic() < begin + 20:
        for request, answer in guarded.poll(0.1):
            assert id(request) not in answers
            answers[id(request)] = answer
            if request in good:
                slowest_good = time.monotonic() - begin
        peak = max(peak, memory())
    hostile.close()

    assert [answers[id(request)].status for request in good] == [200] * GOOD
    assert len(answers) == HOSTILE + GOOD
    assert slowest_good < 5
    assert peak - before < MOST_MEMORY
