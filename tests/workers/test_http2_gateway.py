"""Our own HTTP/2 with real servers of several kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.certificates import Certificate, make_certificate
from tests.workers.h2_server import H2Server
from workers.gateway.http2.http2_gateway import Http2Gateway
from workers.provider import Request


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def gateway(certificate: Certificate) -> Iterator[Http2Gateway]:
    opened = Http2Gateway(ca_file=Path(certificate.certificate), timeout_s=5)
    opened.open_pool("apns", 100)
    yield opened
    opened.close()


@pytest.mark.parametrize("options", [{"window": 100}, {"remembers": True}, {"streams": None}])
def test_servers_of_all_kinds_are_understood(
    gateway: Http2Gateway, certificate: Certificate, options: dict[str, int]
) -> None:
    server = H2Server(certificate.certificate, certificate.key, **options)  # type: ignore[arg-type]
    requests = [
        Request(f"{server.origin}/answer/{status}", ["ttl: 60"], b"%d," % n * 200)
        for n, status in enumerate([200, 410, 200, 503, 200] * 40)
    ]

    answers = {id(request): answer for request, answer in gateway.send("apns", requests)}

    for request in requests:
        answer = answers[id(request)]
        assert request.url.endswith(f"/{answer.status}")
        assert answer.headers["content-type"] == "application/json"
    assert sorted(body for _, body in server.seen.requests) == sorted(
        each.body for each in requests
    )
    assert server.seen.connections == 1
    server.close()


def test_a_server_that_allows_a_hundred_gets_more_connections(
    gateway: Http2Gateway, certificate: Certificate
) -> None:
    server = H2Server(certificate.certificate, certificate.key, streams=100, latency=0.1)
    gateway.open_pool("fcm", 350)
    requests = [Request(f"{server.origin}/answer/200", [], b"%d" % n) for n in range(1400)]

    assert all(answer.status == 200 for _, answer in gateway.send("fcm", requests))

    assert 2 <= server.seen.connections <= 4
    assert server.seen.most_streams == 100
    assert server.seen.most_at_once <= 350
    server.close()
