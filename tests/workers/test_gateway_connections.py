"""Where the gateway connects to, what it trusts, and where it never goes."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.workers.certificates import Certificate, make_certificate
from tests.workers.gateways import BODY, HEADERS, a_request, numbered, send_all, settings_for
from tests.workers.h2_server import H2Server, wait_until
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway
from workers.provider import Failure, Request


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
    gateway.open_pool("apns", 50)
    requests = [Request(f"{old_server}/{n}", HEADERS, b"%d" % n) for n in range(20)]

    answers = send_all(gateway, *requests)

    assert [(a.status, a.headers.get("location"), a.body) for a in answers] == [
        (201, f"/{n}", b"%d" % n) for n in range(20)
    ]
    gateway.close()


def test_a_redirect_is_not_followed(gateway: Gateway, server: H2Server) -> None:
    [answer] = send_all(gateway, a_request(server, "/moved"))

    assert answer.status == 307
    assert [path for path, _ in server.seen.requests] == ["/moved"]


def test_no_proxy_is_taken_from_the_environment(
    sender: str, certificate: Certificate, server: H2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    gateway = open_gateway(settings_for(sender, certificate.certificate))
    gateway.open_pool("apns", 5)

    assert send_all(gateway, a_request(server))[0].status == 200
    gateway.close()


def test_an_untrusted_certificate_sends_nothing(sender: str, server: H2Server) -> None:
    gateway = open_gateway(settings_for(sender, None))
    gateway.open_pool("apns", 5)

    answers = send_all(gateway, *numbered(server, 3))

    assert [answer.failure for answer in answers] == [Failure.NOT_SENT] * 3
    assert server.seen.requests == []
    gateway.close()


def test_a_certificate_for_another_name_sends_nothing(gateway: Gateway, server: H2Server) -> None:
    request = Request(f"https://ip6-localhost.localhost:{server.port}/answer/200", HEADERS, BODY)

    [answer] = send_all(gateway, request)

    assert answer.failure is Failure.NOT_SENT
    assert server.seen.requests == []


def test_a_certificate_that_names_its_host_in_the_subject_only_sends_nothing(
    sender: str, tmp_path: Path
) -> None:
    """RFC 9525, section 2, and RFC 9110, section 4.3.4: the common name is no host's name."""
    certificate = make_certificate(tmp_path, alternative_names=False)
    server = H2Server(certificate.certificate, certificate.key)
    gateway = open_gateway(settings_for(sender, certificate.certificate))
    gateway.open_pool("apns", 5)

    for _ in range(2):
        answers = send_all(gateway, *numbered(server, 3))

        assert [answer.failure for answer in answers] == [Failure.NOT_SENT] * 3
    assert server.seen.begun == 0
    gateway.close()
    server.close()


@pytest.mark.parametrize(
    "origin", ["https://localhost:9", "https://there.is.no.such.place.invalid"]
)
def test_a_server_that_cannot_be_reached_has_certainly_seen_nothing(
    gateway: Gateway, origin: str
) -> None:
    requests = [Request(f"{origin}/3/device/secret", HEADERS, BODY) for _ in range(5)]

    answers = send_all(gateway, *requests)

    assert [answer.failure for answer in answers] == [Failure.NOT_SENT] * 5
    assert all(answer.detail and "secret" not in answer.detail for answer in answers)


def test_a_guarded_pool_connects_to_no_private_address(gateway: Gateway, server: H2Server) -> None:
    asked = []
    gateway.open_pool("webpush", 5, guard=lambda host, port: bool(asked.append((host, port))))

    answers = send_all(gateway, *numbered(server, 3), pool="webpush")

    assert [answer.failure for answer in answers] == [Failure.FORBIDDEN] * 3
    assert set(asked) == {("localhost", server.port)}
    assert server.seen.connections == 0


def test_a_guarded_pool_connects_where_the_guard_says_so(
    gateway: Gateway, server: H2Server
) -> None:
    gateway.open_pool(
        "webpush", 5, guard=lambda host, port: (host, port) == ("localhost", server.port)
    )

    assert send_all(gateway, a_request(server), pool="webpush")[0].status == 200


def test_a_guarded_pool_does_not_ride_on_another_pools_connection(
    gateway: Gateway, server: H2Server
) -> None:
    gateway.open_pool("webpush", 5, guard=lambda _host, _port: False)
    assert send_all(gateway, a_request(server))[0].status == 200

    [answer] = send_all(gateway, a_request(server), pool="webpush")

    assert answer.failure is Failure.FORBIDDEN


def test_a_guarded_pool_speaks_https_only(gateway: Gateway) -> None:
    gateway.open_pool("webpush", 5, guard=lambda _host, _port: True)

    [answer] = send_all(gateway, Request("http://localhost:9/x", HEADERS, BODY), pool="webpush")

    assert answer.failure is Failure.FORBIDDEN


def test_a_closed_gateway_reads_nothing_that_is_not_its_own(
    gateway: Gateway, sender: str, server: H2Server, tmp_path: Path
) -> None:
    """The number of a socket that was closed is soon another file's, or the database's."""
    other = tmp_path / "other"
    other.write_bytes(b"x" * 1000)
    for request in numbered(server, 15, "/slow/1"):
        gateway.submit("apns", request)
    arrived = 15 if sender == "httpx" else 1  # the others try a new connection with one
    wait_until(lambda: not gateway.poll(0.01) and len(server.seen.requests) >= arrived)

    gateway.close()
    with ExitStack() as opened:
        files = [opened.enter_context(other.open("rb", buffering=0)) for _ in range(60)]
        time.sleep(1.5)
        assert [file.tell() for file in files] == [0] * 60
