"""The gateway's promises, kept by every sender against a real TLS server that misbehaves."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.workers.certificates import Certificate, make_certificate
from tests.workers.h2_server import H2Server, wait_until
from workers.gateway import Gateway, open_gateway
from workers.provider import Answer, Failure, Request
from workers.senders.httpx_sender import HttpxSender

HEADERS = ["content-type: application/json", "authorization: bearer of-good-news"]
BODY = b'{"aps":{"alert":{"title":"It rained"}}}'
SENDERS = ["curl", "httpx", "wire"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


Serve = Callable[..., H2Server]


@pytest.fixture
def serve(certificate: Certificate) -> Iterator[Serve]:
    servers: list[H2Server] = []

    def start(**how: object) -> H2Server:
        servers.append(H2Server(certificate.certificate, certificate.key, **how))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(serve: Serve) -> H2Server:
    return serve()


def settings_for(sender: str, ca_file: Path | None, timeout_s: float = 1.0) -> Settings:
    return Settings(
        database_url="postgresql://nowhere",
        redis_url="redis://nowhere",
        secret_key="a secret of sixteen letters",
        sender=sender,  # type: ignore[arg-type]
        ca_file=ca_file,
        request_timeout_s=timeout_s,
    )


@pytest.fixture(params=SENDERS)
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(sender: str, certificate: Certificate) -> Iterator[Gateway]:
    opened = open_gateway(settings_for(sender, certificate.certificate))
    opened.open_lane("apns", 50)
    yield opened
    opened.close()


def a_request(server: H2Server, path: str = "/answer/200", body: bytes = BODY) -> Request:
    return Request(f"{server.origin}{path}", HEADERS, body)


def ask(gateway: Gateway, *requests: Request, lane: str = "apns") -> list[Answer]:
    """Send them all; returns the answers in the order of the requests, each exactly once."""
    found: dict[int, Answer] = {}
    for request, answer in gateway.send(lane, requests):
        assert id(request) not in found, "answered twice"
        found[id(request)] = answer
    assert gateway.in_flight() == 0
    return [found[id(request)] for request in requests]


def numbered(server: H2Server, count: int, path: str = "/answer/200") -> list[Request]:
    return [a_request(server, path, b"%d" % n) for n in range(count)]


def assert_seen_once(server: H2Server) -> None:
    assert [what for what, times in server.seen.times().items() if times > 1] == []


def test_an_answer_has_status_headers_in_lower_case_and_body(
    gateway: Gateway, server: H2Server
) -> None:
    [answer] = ask(gateway, a_request(server, "/answer/410"))

    assert answer.status == 410
    assert answer.failure is None
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {"path": "/answer/410", "size": len(BODY)}


def test_the_headers_that_leave_are_ours_and_nothing_is_negotiated(
    gateway: Gateway, server: H2Server
) -> None:
    [answer] = ask(gateway, a_request(server, "/headers"))

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

    [first, second, third] = ask(
        gateway, get, a_request(server), Request(get.url, HEADERS, b"", method="GET")
    )

    assert [json.loads(each.body)["size"] for each in (first, second, third)] == [0, len(BODY), 0]


def test_a_body_larger_than_any_buffer_arrives_whole(gateway: Gateway, server: H2Server) -> None:
    body = bytes(range(256)) * 1200

    ask(gateway, a_request(server, body=body), a_request(server, body=body[:-1]))

    assert {seen for _, seen in server.seen.requests} == {body, body[:-1]}


def test_every_request_comes_back_once_over_few_connections(
    gateway: Gateway, server: H2Server, sender: str
) -> None:
    window = gateway.room("apns")
    answers = ask(gateway, *numbered(server, 500))

    assert [answer for answer in answers if answer.status != 200] == []
    assert len(server.seen.requests) == 500
    assert_seen_once(server)
    assert server.seen.connections <= (1 if sender != "httpx" else window)


def test_connections_stay_warm_between_batches(gateway: Gateway, serve: Serve, sender: str) -> None:
    server = serve(latency=0.01)
    for _ in range(3):
        ask(gateway, *numbered(server, 40))
        time.sleep(0.1)

    assert server.seen.connections <= (1 if sender != "httpx" else 20)


def test_the_window_is_never_exceeded_and_fills(gateway: Gateway, serve: Serve) -> None:
    server = serve(latency=0.2)
    window = gateway.room("apns")

    ask(gateway, *numbered(server, 3 * window))

    assert server.seen.most_at_once == window


def test_a_full_lane_has_no_room_and_the_next_lane_has(gateway: Gateway, server: H2Server) -> None:
    gateway.open_lane("fcm", 10)
    for request in numbered(server, 50, "/hang"):
        gateway.submit("apns", request)

    assert gateway.room("apns") == 0
    assert gateway.in_flight("apns") == 50
    assert gateway.room("fcm") == 10
    assert ask_only(gateway, "fcm", a_request(server)).status == 200


def ask_only(gateway: Gateway, lane: str, request: Request) -> Answer:
    gateway.submit(lane, request)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        for answered, answer in gateway.poll(0.1):
            if answered is request:
                return answer
    pytest.fail("no answer came")


def test_a_lane_may_be_opened_again(gateway: Gateway, server: H2Server) -> None:
    gateway.open_lane("apns", 5)

    assert gateway.room("apns") == 5
    assert ask(gateway, a_request(server))[0].status == 200


def test_poll_comes_back_in_time_without_an_answer(gateway: Gateway, server: H2Server) -> None:
    gateway.submit("apns", a_request(server, "/hang"))
    begun = time.monotonic()

    assert gateway.poll(0.2) == []
    assert 0.15 < time.monotonic() - begun < 0.4


def test_a_cold_origin_gets_one_request_until_it_has_answered(
    gateway: Gateway, serve: Serve
) -> None:
    server = serve(streams_before_answer=1, streams=1000, latency=0.05)

    answers = ask(gateway, *numbered(server, 200))

    assert [answer for answer in answers if answer.status != 200] == []
    assert server.seen.begun == 200
    assert_seen_once(server)


@pytest.mark.parametrize("streams", [1, 7, 100, 1000, None])
def test_a_servers_stream_limit_is_kept(
    sender: str, certificate: Certificate, serve: Serve, streams: int | None
) -> None:
    server = serve(streams=streams, latency=0.002)
    gateway = open_gateway(settings_for(sender, certificate.certificate, timeout_s=20))
    gateway.open_lane("apns", 300)
    count = 600 if streams is None or streams >= 100 else 150

    answers = ask(gateway, *numbered(server, count))

    assert [answer for answer in answers if answer.status != 200] == []
    assert server.seen.most_streams <= (streams or 300)
    assert_seen_once(server)
    gateway.close()


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
        ask(gateway, a_request(server))

    [answer] = ask(gateway, a_request(server, path, b"once"))

    assert (answer.status, answer.failure) == (0, failure)
    assert answer.detail
    assert "\n" not in answer.detail
    assert path not in answer.detail
    time.sleep(0.3)
    assert server.seen.times()[path, b"once"] == 1


@pytest.mark.parametrize("path", ["/reset/2", "/refuse", "/hang"])
def test_the_neighbours_of_a_broken_request_are_unaffected(
    gateway: Gateway, server: H2Server, path: str
) -> None:
    requests = numbered(server, 200)
    for n in range(0, 200, 10):
        requests[n] = a_request(server, path, b"broken %d" % n)

    answers = ask(gateway, *requests)

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

    answers = ask(gateway, *requests)

    assert_seen_once(server)
    seen = server.seen.times()
    for request, answer in zip(requests, answers, strict=True):
        if answer.failure is Failure.NOT_SENT and path != "/goaway/before":
            assert seen["/answer/200", request.body] == 0
    assert sum(answer.status == 200 for answer in answers) >= 200
    assert ask(gateway, a_request(server))[0].status == 200


def test_the_connection_after_a_broken_one_is_new(gateway: Gateway, server: H2Server) -> None:
    ask(gateway, *numbered(server, 10))
    before = server.seen.connections
    server.close_connections()
    wait_until(lambda: not server.open)
    time.sleep(1.1)  # libcurl looks at a connection once a second

    answers = ask(gateway, *numbered(server, 10))

    assert [answer for answer in answers if answer.status != 200] == []
    assert server.seen.connections > before


def test_an_answer_that_is_too_long_is_cut(gateway: Gateway, server: H2Server) -> None:
    [short, announced, unannounced] = ask(
        gateway,
        a_request(server, "/huge/40000"),
        a_request(server, "/huge/1000000"),
        a_request(server, "/huge-unannounced/1000000"),
    )

    assert [each.status for each in (short, announced, unannounced)] == [200] * 3
    assert len(short.body) == 8192
    assert len(unannounced.body) == 8192
    assert len(announced.body) <= 8192
    assert ask(gateway, a_request(server))[0].status == 200


def test_an_answer_that_breaks_off_is_still_an_answer(gateway: Gateway, server: H2Server) -> None:
    [answer] = ask(gateway, a_request(server, "/broken"))

    assert (answer.status, answer.body, answer.failure) == (200, b"ten bytes!", None)


class OldServer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(201)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def old_server(certificate: Certificate) -> Iterator[str]:
    """An origin that speaks HTTP/1.1 only."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.certificate, certificate.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), OldServer)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_server_that_speaks_no_http2_is_served_too(
    sender: str, certificate: Certificate, old_server: str
) -> None:
    gateway = open_gateway(settings_for(sender, certificate.certificate, timeout_s=20))
    gateway.open_lane("apns", 50)
    requests = [Request(f"{old_server}/{n}", HEADERS, b"%d" % n) for n in range(20)]

    answers = ask(gateway, *requests)

    assert [(a.status, a.headers.get("location"), a.body) for a in answers] == [
        (201, f"/{n}", b"%d" % n) for n in range(20)
    ]
    gateway.close()


def test_a_redirect_is_not_followed(gateway: Gateway, server: H2Server) -> None:
    [answer] = ask(gateway, a_request(server, "/moved"))

    assert answer.status == 307
    assert [path for path, _ in server.seen.requests] == ["/moved"]


def test_no_proxy_is_taken_from_the_environment(
    sender: str, certificate: Certificate, server: H2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    gateway = open_gateway(settings_for(sender, certificate.certificate))
    gateway.open_lane("apns", 5)

    assert ask(gateway, a_request(server))[0].status == 200
    gateway.close()


def test_an_untrusted_certificate_sends_nothing(sender: str, server: H2Server) -> None:
    gateway = open_gateway(settings_for(sender, None))
    gateway.open_lane("apns", 5)

    answers = ask(gateway, *numbered(server, 3))

    assert [answer.failure for answer in answers] == [Failure.NOT_SENT] * 3
    assert server.seen.requests == []
    gateway.close()


def test_a_certificate_for_another_name_sends_nothing(gateway: Gateway, server: H2Server) -> None:
    request = Request(f"https://ip6-localhost.localhost:{server.port}/answer/200", HEADERS, BODY)

    [answer] = ask(gateway, request)

    assert answer.failure is Failure.NOT_SENT
    assert server.seen.requests == []


@pytest.mark.parametrize(
    "origin", ["https://localhost:9", "https://there.is.no.such.place.invalid"]
)
def test_who_cannot_be_reached_has_certainly_seen_nothing(gateway: Gateway, origin: str) -> None:
    requests = [Request(f"{origin}/3/device/secret", HEADERS, BODY) for _ in range(5)]

    answers = ask(gateway, *requests)

    assert [answer.failure for answer in answers] == [Failure.NOT_SENT] * 5
    assert all(answer.detail and "secret" not in answer.detail for answer in answers)


def test_a_slow_cold_origin_does_not_hold_up_the_others(
    sender: str, certificate: Certificate, serve: Serve
) -> None:
    slow, quick = serve(), serve()
    gateway = open_gateway(settings_for(sender, certificate.certificate, timeout_s=20))
    gateway.open_lane("webpush", 20, guard=lambda _host, _port: True)
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
    monkeypatch.setattr(f"workers.senders.{sender}_sender.REFRESH_EVERY_S", 0.0)
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
        ask(gateway, a_request(server))
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
    assert ask(gateway, a_request(server))[0].status == 200


def test_a_request_that_is_none_is_refused(gateway: Gateway) -> None:
    answers = ask(
        gateway,
        Request("ftp://localhost/x", HEADERS, BODY),
        Request("no url at all", HEADERS, BODY),
        Request("https://who:me@localhost/x", HEADERS, BODY),
    )

    assert [answer.failure for answer in answers] == [Failure.FORBIDDEN] * 3


def test_a_guarded_lane_connects_to_no_private_address(gateway: Gateway, server: H2Server) -> None:
    asked = []
    gateway.open_lane("webpush", 5, guard=lambda host, port: bool(asked.append((host, port))))

    answers = ask(gateway, *numbered(server, 3), lane="webpush")

    assert [answer.failure for answer in answers] == [Failure.FORBIDDEN] * 3
    assert set(asked) == {("localhost", server.port)}
    assert server.seen.connections == 0


def test_a_guarded_lane_connects_where_the_guard_says_so(
    gateway: Gateway, server: H2Server
) -> None:
    gateway.open_lane(
        "webpush", 5, guard=lambda host, port: (host, port) == ("localhost", server.port)
    )

    assert ask(gateway, a_request(server), lane="webpush")[0].status == 200


def test_a_guarded_lane_does_not_ride_on_another_lanes_connection(
    gateway: Gateway, server: H2Server
) -> None:
    gateway.open_lane("webpush", 5, guard=lambda _host, _port: False)
    assert ask(gateway, a_request(server))[0].status == 200

    [answer] = ask(gateway, a_request(server), lane="webpush")

    assert answer.failure is Failure.FORBIDDEN


def test_a_guarded_lane_speaks_https_only(gateway: Gateway) -> None:
    gateway.open_lane("webpush", 5, guard=lambda _host, _port: True)

    [answer] = ask(gateway, Request("http://localhost:9/x", HEADERS, BODY), lane="webpush")

    assert answer.failure is Failure.FORBIDDEN


def test_a_mock_transport_can_stand_in_for_the_network() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "7"}, content=request.content)

    gateway = HttpxSender(
        ca_file=None, timeout_s=1, transport=lambda _context, _guard: httpx.MockTransport(answer)
    )
    gateway.open_lane("apns", 5)

    [(_, answered)] = gateway.send("apns", [Request("https://push.example/x", HEADERS, BODY)])

    assert (answered.status, answered.headers["retry-after"], answered.body) == (429, "7", BODY)
    gateway.close()
