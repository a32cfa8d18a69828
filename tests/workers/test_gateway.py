"""What every gateway promises: requests and answers, pools and windows."""

import json
import math
import time

import httpx
import pytest

from tests.workers.certificates import Certificate
from tests.workers.gateways import (
    BODY,
    HEADERS,
    Serve,
    a_request,
    assert_seen_once,
    numbered,
    send_all,
    send_one,
    settings_for,
)
from tests.workers.h2_server import H2Server
from workers.gateway.contract import Gateway
from workers.gateway.httpx.httpx_gateway import HttpxGateway
from workers.gateway.opening import open_gateway
from workers.provider import Failure, Request


@pytest.fixture
def timeout_s() -> float:
    """Nothing here waits for it: a busy machine has time for every answer."""
    return 20.0


def test_an_answer_has_status_headers_in_lower_case_and_body(
    gateway: Gateway, server: H2Server
) -> None:
    [answer] = send_all(gateway, a_request(server, "/answer/410"))

    assert answer.status == 410
    assert answer.failure is None
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {"path": "/answer/410", "size": len(BODY)}


def test_the_headers_that_leave_are_ours_and_nothing_is_negotiated(
    gateway: Gateway, server: H2Server
) -> None:
    [answer] = send_all(gateway, a_request(server, "/headers"))

    sent = json.loads(answer.body)
    assert sent["authorization"] == "bearer of-good-news"
    assert sent["content-length"] == str(len(BODY))
    assert sent["user-agent"] == "newszop"
    assert set(sent) <= {
        ":method",
        ":path",
        ":scheme",
        ":authority",
        "accept",
        "authorization",
        "content-length",
        "content-type",
        "user-agent",
    }


def test_a_get_has_no_body(gateway: Gateway, server: H2Server) -> None:
    get = Request(f"{server.origin}/answer/200", HEADERS, b"", method="GET")

    [first, second, third] = send_all(
        gateway, get, a_request(server), Request(get.url, HEADERS, b"", method="GET")
    )

    assert [json.loads(each.body)["size"] for each in (first, second, third)] == [0, len(BODY), 0]


def test_a_body_larger_than_any_buffer_arrives_whole(gateway: Gateway, server: H2Server) -> None:
    body = bytes(range(256)) * 1200

    send_all(gateway, a_request(server, body=body), a_request(server, body=body[:-1]))

    assert {seen for _, seen in server.seen.requests} == {body, body[:-1]}


def test_every_request_comes_back_once_over_few_connections(
    gateway: Gateway, server: H2Server, sender: str
) -> None:
    window = gateway.room("apns")
    answers = send_all(gateway, *numbered(server, 500))

    assert [answer for answer in answers if answer.status != 200] == []
    assert len(server.seen.requests) == 500
    assert_seen_once(server)
    assert server.seen.connections <= (1 if sender != "httpx" else window)


def test_connections_stay_warm_between_batches(gateway: Gateway, serve: Serve, sender: str) -> None:
    server = serve(latency=0.01)
    for _ in range(3):
        send_all(gateway, *numbered(server, 40))
        time.sleep(0.1)

    assert server.seen.connections <= (1 if sender != "httpx" else 20)


def test_the_window_is_never_exceeded_and_fills(gateway: Gateway, serve: Serve) -> None:
    server = serve(latency=0.2)
    window = gateway.room("apns")

    send_all(gateway, *numbered(server, 3 * window))

    assert server.seen.most_at_once == window


def test_a_full_pool_has_no_room_and_the_next_pool_has(gateway: Gateway, server: H2Server) -> None:
    gateway.open_pool("fcm", 10)
    for request in numbered(server, 50, "/hang"):
        gateway.submit("apns", request)

    assert gateway.room("apns") == 0
    assert gateway.in_flight("apns") == 50
    assert gateway.room("fcm") == 10
    assert send_one(gateway, "fcm", a_request(server)).status == 200


@pytest.mark.parametrize("streams", [4, None])
def test_what_has_not_left_is_taken_back_and_all_else_is_answered(
    gateway: Gateway, serve: Serve, streams: int | None
) -> None:
    server = serve(streams=streams, latency=0.05)
    send_all(gateway, a_request(server))
    requests = numbered(server, gateway.room("apns"))
    for request in requests:
        gateway.submit("apns", request)
    returned = [request for request, _ in gateway.poll(1)]
    recalled = gateway.recall("apns")

    assert gateway.in_flight() == len(requests) - len(returned) - len(recalled)
    while gateway.in_flight():
        returned += [request for request, _ in gateway.poll(1)]
    assert {id(each) for each in returned + recalled} == {id(each) for each in requests}
    assert (
        len(returned) + len(recalled)
        == len(requests)
        == len(server.seen.requests) - 1 + len(recalled)
    )
    assert gateway.recall("apns") == []
    assert [answer.status for answer in send_all(gateway, *recalled)] == [200] * len(recalled)


@pytest.mark.parametrize("of", ["wire", "curl"])
def test_what_waits_does_not_leave_after_the_moment_that_was_set(
    certificate: Certificate, serve: Serve, of: str
) -> None:
    server = serve(streams=4)
    gateway = open_gateway(settings_for(of, certificate.certificate, timeout_s=20))
    gateway.open_pool("apns", 300)
    send_all(gateway, a_request(server))
    gateway.leave_until(time.monotonic() - 1)
    for request in numbered(server, 200):
        gateway.submit("apns", request)
    answers = [answer for _ in range(5) for answer in gateway.poll(0.05)]

    assert len(answers) < 200
    assert gateway.in_flight() == 200 - len(answers)
    gateway.leave_until(math.inf)
    while gateway.in_flight():
        answers += gateway.poll(1)
    assert len(answers) == 200
    assert_seen_once(server)
    gateway.close()


def test_our_own_gateway_takes_back_all_that_no_stream_was_free_for(
    certificate: Certificate, serve: Serve
) -> None:
    server = serve(streams=4, latency=0.05)
    gateway = open_gateway(settings_for("wire", certificate.certificate))
    gateway.open_pool("apns", 300)
    send_all(gateway, a_request(server))
    for request in numbered(server, 300):
        gateway.submit("apns", request)
    gateway.poll(0)

    assert len(gateway.recall("apns")) == 296
    gateway.close()


def test_a_pool_may_be_opened_again(gateway: Gateway, server: H2Server) -> None:
    gateway.open_pool("apns", 5)

    assert gateway.room("apns") == 5
    assert send_all(gateway, a_request(server))[0].status == 200


def test_poll_comes_back_in_time_without_an_answer(gateway: Gateway, server: H2Server) -> None:
    gateway.submit("apns", a_request(server, "/hang"))
    begun = time.monotonic()

    assert gateway.poll(0.2) == []
    assert 0.15 < time.monotonic() - begun < 0.4


def test_a_cold_origin_gets_one_request_until_it_has_answered(
    gateway: Gateway, serve: Serve
) -> None:
    server = serve(streams_before_answer=1, streams=1000, latency=0.05)

    answers = send_all(gateway, *numbered(server, 200))

    assert [answer for answer in answers if answer.status != 200] == []
    assert server.seen.begun == 200
    assert_seen_once(server)


@pytest.mark.parametrize("streams", [1, 7, 100, 1000, None])
def test_a_servers_stream_limit_is_kept(
    sender: str, certificate: Certificate, serve: Serve, streams: int | None
) -> None:
    server = serve(streams=streams, latency=0.002)
    gateway = open_gateway(settings_for(sender, certificate.certificate, timeout_s=20))
    gateway.open_pool("apns", 300)
    count = 600 if streams is None or streams >= 100 else 150

    answers = send_all(gateway, *numbered(server, count))

    assert [answer for answer in answers if answer.status != 200] == []
    assert server.seen.most_streams <= (streams or 300)
    assert_seen_once(server)
    gateway.close()


def test_a_request_that_is_none_is_refused(gateway: Gateway) -> None:
    answers = send_all(
        gateway,
        Request("ftp://localhost/x", HEADERS, BODY),
        Request("no url at all", HEADERS, BODY),
        Request("https://who:me@localhost/x", HEADERS, BODY),
    )

    assert [answer.failure for answer in answers] == [Failure.FORBIDDEN] * 3


def test_a_mock_transport_can_stand_in_for_the_network() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "7"}, content=request.content)

    gateway = HttpxGateway(
        ca_file=None, timeout_s=1, transport=lambda _context, _guard: httpx.MockTransport(answer)
    )
    gateway.open_pool("apns", 5)

    [(_, answered)] = gateway.send("apns", [Request("https://push.example/x", HEADERS, BODY)])

    assert (answered.status, answered.headers["retry-after"], answered.body) == (429, "7", BODY)
    gateway.close()
