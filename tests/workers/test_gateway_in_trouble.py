"""What breaks, hangs or is given up: one answer for each request, and none is sent twice."""

import time

import pytest

from tests.workers.certificates import Certificate
from tests.workers.gateways import (
    Serve,
    a_request,
    assert_seen_once,
    numbered,
    send_all,
    settings_for,
)
from tests.workers.h2_server import H2Server, wait_until
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway
from workers.provider import Failure

TROUBLES = [
    ("/reset/2", Failure.UNKNOWN),
    ("/reset/11", Failure.UNKNOWN),
    ("/cut", Failure.UNKNOWN),
    ("/abort", Failure.UNKNOWN),
    ("/goaway/after", Failure.UNKNOWN),
    ("/hang", Failure.UNKNOWN),
    ("/refuse", Failure.NOT_SENT),
    ("/goaway/before", Failure.NOT_SENT),
]


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize(("path", "failure"), TROUBLES)
def test_a_broken_request_is_an_answer_and_is_never_sent_again(
    gateway: Gateway, server: H2Server, path: str, failure: Failure, *, warm: bool
) -> None:
    if warm:
        send_all(gateway, a_request(server))

    [answer] = send_all(gateway, a_request(server, path, b"once"))

    assert (answer.status, answer.failure) == (0, failure)
    assert answer.detail
    assert "\n" not in answer.detail
    assert path not in answer.detail
    time.sleep(0.3)
    # Of what a GOAWAY excludes the server has seen nothing.
    assert server.seen.times()[path, b"once"] == (path != "/goaway/before")


@pytest.mark.parametrize(
    ("path", "timeout_s"), [("/reset/2", 20.0), ("/refuse", 20.0), ("/hang", 2.0)]
)
def test_the_neighbours_of_a_broken_request_are_unaffected(
    gateway: Gateway, server: H2Server, path: str
) -> None:
    requests = numbered(server, 200)
    for n in range(0, 200, 10):
        requests[n] = a_request(server, path, b"broken %d" % n)

    answers = send_all(gateway, *requests)

    for n, answer in enumerate(answers):
        assert answer.status == (200 if n % 10 else 0)
    assert_seen_once(server)


@pytest.mark.parametrize("path", ["/cut", "/abort", "/goaway/after", "/goaway/before"])
def test_a_broken_connection_takes_no_request_twice_and_loses_none(
    gateway: Gateway, serve: Serve, path: str
) -> None:
    server = serve(latency=0.01)
    requests = numbered(server, 300)
    requests[100] = a_request(server, path, b"broken")

    answers = send_all(gateway, *requests)

    assert_seen_once(server)
    seen = server.seen.times()
    for request, answer in zip(requests, answers, strict=True):
        if answer.failure is Failure.NOT_SENT and path != "/goaway/before":
            assert seen["/answer/200", request.body] == 0
    assert sum(answer.status == 200 for answer in answers) >= 200
    assert send_all(gateway, a_request(server))[0].status == 200


def test_the_connection_after_a_broken_one_is_new(gateway: Gateway, server: H2Server) -> None:
    send_all(gateway, *numbered(server, 10))
    before = server.seen.connections
    server.close_connections()
    wait_until(lambda: not server.open)
    time.sleep(1.1)  # libcurl looks at a connection once a second

    answers = send_all(gateway, *numbered(server, 10))

    assert [answer for answer in answers if answer.status != 200] == []
    assert server.seen.connections > before


@pytest.mark.parametrize("timeout_s", [20.0])
def test_an_answer_that_is_too_long_is_cut(gateway: Gateway, server: H2Server) -> None:
    [short, announced, unannounced] = send_all(
        gateway,
        a_request(server, "/huge/40000"),
        a_request(server, "/huge/1000000"),
        a_request(server, "/huge-unannounced/1000000"),
    )

    assert [each.status for each in (short, announced, unannounced)] == [200] * 3
    assert len(short.body) == 8192
    assert len(unannounced.body) == 8192
    assert len(announced.body) <= 8192
    assert send_all(gateway, a_request(server))[0].status == 200


def test_an_answer_that_breaks_off_is_still_an_answer(gateway: Gateway, server: H2Server) -> None:
    [answer] = send_all(gateway, a_request(server, "/broken"))

    assert (answer.status, answer.body, answer.failure) == (200, b"ten bytes!", None)


def test_a_slow_cold_origin_does_not_hold_up_the_others(
    sender: str, certificate: Certificate, serve: Serve
) -> None:
    slow, quick = serve(), serve()
    gateway = open_gateway(settings_for(sender, certificate.certificate, timeout_s=20))
    gateway.open_pool("webpush", 20, guard=lambda _host, _port: True)
    for request in numbered(slow, 15, "/slow/5"):
        gateway.submit("webpush", request)

    answers = []
    for request in numbered(quick, 100):
        while not gateway.room("webpush"):
            answers += gateway.poll(0.1)
        gateway.submit("webpush", request)
    while len(answers) < 100:
        answers += gateway.poll(0.1)

    assert all(request.url.startswith(quick.origin) for request, _ in answers[:100])
    gateway.close()


def test_refresh_sends_what_follows_on_a_new_connection(
    gateway: Gateway, server: H2Server, monkeypatch: pytest.MonkeyPatch, sender: str
) -> None:
    place = {"wire": "http2.http2_gateway"}.get(sender, f"{sender}.{sender}_gateway")
    monkeypatch.setattr(f"workers.gateway.{place}.REFRESH_EVERY_S", 0.0)
    gateway.submit("apns", old := a_request(server, "/slow/0.3"))
    while not server.seen.requests:
        gateway.poll(0.01)
    gateway.refresh("apns")
    gateway.submit("apns", new := a_request(server, "/answer/200"))

    answered = []
    while len(answered) < 2:
        answered += gateway.poll(0.1)

    assert [request for request, _ in answered] == [new, old]
    assert [answer.status for _, answer in answered] == [200, 200]
    assert server.seen.connections == 2


def test_refreshing_over_and_over_makes_no_storm_of_connections(
    gateway: Gateway, server: H2Server
) -> None:
    for _ in range(20):
        send_all(gateway, a_request(server))
        gateway.refresh("apns")

    assert server.seen.connections <= 2


def test_abandon_returns_what_was_in_flight_and_the_gateway_goes_on(
    gateway: Gateway, server: H2Server
) -> None:
    requests = numbered(server, 10, "/hang")
    for request in requests:
        gateway.submit("apns", request)
    gateway.poll(0.1)

    room = gateway.room("apns") + len(requests)

    lost = gateway.abandon()

    assert sorted(map(id, lost)) == sorted(map(id, requests))
    assert gateway.in_flight() == 0
    assert gateway.room("apns") == room
    assert send_all(gateway, a_request(server))[0].status == 200
