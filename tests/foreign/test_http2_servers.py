"""Our gateways against HTTP/2 servers that nobody here wrote, in the moods that servers have.

Each run sends FOREIGN_REQUESTS requests (500; `make foreign` sends 5,000). Whatever the server
does: every request is answered once, what the server processed is never called `not sent`, and
nothing arrives twice.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.foreign import server_setups as setups
from tests.foreign.foreign_server import Site, batches
from tests.workers.gateways import settings_for
from workers.gateway.opening import open_gateway
from workers.provider import Answer, Failure, Request

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(120)]

REQUESTS = int(os.environ.get("FOREIGN_REQUESTS", "500"))
HEADERS = ["content-type: application/json", "ttl: 600", "urgency: high"]
WINDOW = 100
TIMEOUT_S = 10.0
SIZES = (300, 4_000)
"""Bytes of a request's body: a short push and one of the longest."""
SENDERS = ("wire", "curl")
EVERY = 50
"""One in so many requests meets the fault of a run."""


@dataclass(frozen=True)
class Run:
    start: Callable[[Site], None]
    status: int = 200
    failure: Failure | None = None
    """How one request in EVERY ends; None: all are answered."""
    pause_s: float = 0.0
    """The run is cut into four with such a pause between."""
    ends: bool = False
    """The server ends connections in peace. `wire` sends what was not looked at on the next one;
    libcurl, which cannot rewind a body, gives it back, and some that it wrote too late."""
    senders: tuple[str, ...] = SENDERS
    sizes: tuple[int, ...] = SIZES


RUNS = {
    "nghttpd": Run(setups.start_nghttpd),
    "nghttpd, narrow, padding, trailers, no table": Run(
        lambda site: setups.start_nghttpd(
            site, "-m10", "-w12", "-W16", "-b200", "-c0", "--trailer", "checked:yes"
        )
    ),
    "nghttpd, early answers": Run(
        lambda site: setups.start_nghttpd(site, "--early-response", "--echo-upload"),
    ),
    "nginx, GOAWAY after 100 requests": Run(
        partial(setups.start_nginx, settings="keepalive_requests 100;"), ends=True
    ),
    "nginx, no body before the first window update": Run(
        partial(
            setups.start_nginx,
            settings="http2_body_preread_size 0; http2_max_concurrent_streams 20;",
        ),
        # nginx refuses a POST that comes before the acknowledgement of its SETTINGS; libcurl
        # begins each connection with one, gives it back and opens another connection
        senders=("wire",),
    ),
    "nginx, answers of its own with long bodies": Run(
        partial(setups.start_nginx, location=f'set $a "{setups.LONG_TEXT}"; return 410 $a$a$a$a;'),
        status=410,
        ends=True,  # after its usual 1,000 requests
    ),
    "Apache, small windows and few streams": Run(
        partial(setups.start_apache, settings="H2WindowSize 4096\nH2MaxSessionStreams 20")
    ),
    "Apache, 103": Run(partial(setups.start_apache, settings="H2EarlyHints on", origin="hints")),
    "HAProxy, early answers": Run(setups.start_haproxy),
    "HAProxy, early answers, longest bodies": Run(setups.start_haproxy, sizes=(4_000,)),
    "HAProxy, early answers, mixed bodies": Run(
        setups.start_haproxy, sizes=(300, 4_000, 1_000, 2_500, 3_900)
    ),
    "HAProxy, small windows, 103": Run(
        partial(
            setups.start_haproxy,
            settings="tune.h2.initial-window-size 1024\n    tune.h2.max-concurrent-streams 20",
            origin="hints",
        )
    ),
    "HAProxy, long answers": Run(partial(setups.start_haproxy, origin="long")),
    "Caddy": Run(setups.start_caddy),
    "Caddy, early answers": Run(partial(setups.start_caddy, origin="early")),
    "h2o, few streams": Run(
        partial(setups.start_h2o, settings="http2-max-concurrent-requests-per-connection: 10")
    ),
    "h2o, early answers": Run(partial(setups.start_h2o, origin="early")),
    "Go": Run(setups.start_go),
    "Go, early answers": Run(lambda site: setups.start_go(site, "-early")),
    "Go, early and long answers, 103": Run(
        lambda site: setups.start_go(site, "-early", "-long=200000", "-hints")
    ),
    "Go, GOAWAY after 200 requests": Run(
        lambda site: setups.start_go(site, "-goaway=200"), ends=True
    ),
    "Go, closes when idle": Run(
        lambda site: setups.start_go(site, "-idle=200ms"), pause_s=0.4, ends=True
    ),
    "Go, resets": Run(
        lambda site: setups.start_go(site, f"-reset={EVERY}"), failure=Failure.UNKNOWN
    ),
    "Node, small windows, few streams, no table": Run(
        partial(
            setups.start_node,
            settings={
                "initialWindowSize": 1_000,
                "maxConcurrentStreams": 10,
                "headerTableSize": 0,
            },
        )
    ),
    "Node, large table, early answers": Run(
        partial(setups.start_node, settings={"headerTableSize": 65_536}, early=True)
    ),
    "Node, answers of 8 KiB": Run(partial(setups.start_node, long=8_192)),
    "Node, GOAWAY after 100 requests, 103": Run(
        partial(setups.start_node, goaway=100, hints=True), ends=True
    ),
    "Node, closes when idle": Run(partial(setups.start_node, idle=200), pause_s=0.4, ends=True),
    "Node, resets": Run(partial(setups.start_node, reset=EVERY), failure=Failure.UNKNOWN),
    "Node, refused streams": Run(
        partial(setups.start_node, refuse=EVERY), failure=Failure.NOT_SENT
    ),
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as opened:
        yield opened


def requests(site: Site, numbers: range, sizes: Sequence[int]) -> list[Request]:
    return [
        Request(f"{site.origin}/?n={n}", HEADERS, b"%d".ljust(sizes[n % len(sizes)]) % n)
        for n in numbers
    ]


def send(site: Site, sender: str, run: Run, *, count: int = REQUESTS) -> list[list[Answer]]:
    """Send them all; returns the answers that each request had."""
    gateway = open_gateway(settings_for(sender, site.certificate, timeout_s=TIMEOUT_S))
    gateway.open_pool("apns", WINDOW)
    answers: list[list[Answer]] = [[] for _ in range(count)]
    try:
        for numbers in batches(range(count), 4 if run.pause_s else 1):
            for request, answer in gateway.send("apns", requests(site, numbers, run.sizes)):
                answers[int(request.url.rpartition("=")[2])].append(answer)
            time.sleep(run.pause_s)
        assert gateway.in_flight() == 0
    finally:
        gateway.close()
    return answers


def outcomes(answers: Sequence[list[Answer]]) -> Counter[str]:
    return Counter(
        str(answer.status or f"{answer.failure}: {answer.detail}")
        for several in answers
        for answer in several
    )


def cases() -> Iterator[object]:
    """Yield each run with each gateway; the runs of one server share a test process."""
    for name, run in RUNS.items():
        group = pytest.mark.xdist_group(name.partition(",")[0])
        for sender in run.senders:
            yield pytest.param(name, sender, marks=group)


@pytest.mark.parametrize(("name", "sender"), list(cases()))
def test_a_foreign_server_is_asked_once_and_reported_truly(
    site: Site, name: str, sender: str
) -> None:
    run = RUNS[name]
    run.start(site)

    begin = time.monotonic()
    answers = send(site, sender, run)
    seconds = time.monotonic() - begin

    processed = site.processed()
    report = outcomes(answers)
    print(f"\n{name}, {sender}: {REQUESTS} requests in {seconds:.1f} s: {dict(report)}")
    assert [n for n, several in enumerate(answers) if len(several) != 1] == []
    assert [n for n, [answer] in enumerate(answers) if is_false(answer, processed[n])] == [], report
    assert {n: times for n, times in processed.items() if times > 1} == {}, report
    failures = Counter(answer.failure for [answer] in answers if answer.failure)
    assert failures == expected_failures(run, sender, failures), report
    assert {answer.status for [answer] in answers if not answer.failure} == {run.status}


def is_false(answer: Answer, arrivals: int) -> bool:
    """Whether the report contradicts what the server saw."""
    if answer.failure is Failure.NOT_SENT:
        return arrivals > 0
    return answer.failure is None and arrivals == 0


def expected_failures(run: Run, sender: str, failures: Counter[Failure]) -> Mapping[Failure, int]:
    if run.failure:
        return {run.failure: REQUESTS // EVERY}
    if run.ends and sender == "curl" and failures.total() < REQUESTS / 2:
        return failures
    return {}


def test_cut_answers_are_taken_for_an_attack_and_still_reported_truly(site: Site) -> None:
    """A gateway cuts answers beyond 8 KiB by a reset, and nghttp2 counts resets.

    After about 1,000 it ends the connection with INTERNAL_ERROR. The first stream after the last
    one that its GOAWAY names has already reached the program.
    """
    run = Run(partial(setups.start_node, early=True, long=200_000))
    run.start(site)

    answers = send(site, "wire", run, count=5_000)

    processed = site.processed()
    print(f"\nNode, cut answers, wire: {dict(outcomes(answers))}")
    assert [n for n, [answer] in enumerate(answers) if is_false(answer, processed[n])] == []
