"""Servers that flood us beside servers that answer: work and memory stay within bounds."""

import resource
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpcore
import pytest

from tests.workers.certificates import Certificate
from tests.workers.gateways import HEADERS, numbered, settings_for
from tests.workers.h2_server import H2Server
from tests.workers.hostile_server import FLOODS, HostileServer
from workers.gateway.contract import Gateway
from workers.gateway.http2 import connecting
from workers.gateway.httpx.transport import TimedStream
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
    assert slowest_good < 10  # behind the hostile ones it would take their timeouts
    assert peak - before < MOST_MEMORY


class Endless(httpcore.NetworkStream):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del max_bytes, timeout
        return b"HTTP/1.1 103 Early Hints\r\n\r\n"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass


def test_httpx_does_not_read_beyond_its_time_what_never_ends() -> None:
    stream = TimedStream(Endless())
    stream.write(b"POST")
    with pytest.raises(httpcore.ReadTimeout):
        deque(iter(lambda: stream.read(100, 0.02), b""), maxlen=0)
    stream.write(b"POST")
    assert stream.read(100, 1.0)


def test_hanging_servers_leave_room_for_others_where_origins_have_a_share(
    guarded: Gateway, server: H2Server, certificate: Certificate
) -> None:
    guarded.open_pool("webpush", 40, guard=lambda _host, _port: True, origin_window=10)
    hanging = H2Server(certificate.certificate, certificate.key)
    try:
        for request in numbered(hanging, 40, "/hang"):
            guarded.submit("webpush", request)
        guarded.poll(0.3)  # connected, and as many on their way as may be
        for request in numbered(server, 30):
            guarded.submit("webpush", request)
        statuses: Counter[int] = Counter()
        until = time.monotonic() + 2.5  # the hanging ones have 3 s
        while statuses[200] < 30 and time.monotonic() < until:
            statuses.update(answer.status for _, answer in guarded.poll(0.1))
        assert statuses == {200: 30}
        assert len(hanging.seen.requests) <= 10
    finally:
        hanging.close()


def test_a_look_up_that_is_given_up_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    silence = threading.Event()

    def look_up(host: str, _port: int) -> list[connecting.Address]:
        begun.append(host)
        silence.wait(5)
        return []

    monkeypatch.setattr(connecting, "_resolve", look_up)
    with ThreadPoolExecutor(1) as resolvers:
        attempts = [
            connecting.ConnectionAttempt(
                host, 443, context=ssl.create_default_context(), guard=None, resolvers=resolvers
            )
            for host in ("silent.example", "given-up.example", "next.example")
        ]
        attempts[1].close()
        silence.set()
    assert begun == ["silent.example", "next.example"]
