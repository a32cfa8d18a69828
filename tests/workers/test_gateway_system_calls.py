"""System calls that fail while a connection is made: the next address is tried, nothing raises."""

import errno
import socket
from typing import Any

import pytest

from tests.workers.certificates import Certificate
from tests.workers.gateways import a_request, numbered, send_all, settings_for
from tests.workers.h2_server import H2Server
from workers.gateway import client_socket
from workers.gateway.http2 import connecting
from workers.gateway.opening import open_gateway
from workers.provider import Failure

CLOSED_PORT = 9
REAL_SOCKET = socket.socket


@pytest.fixture(params=["curl", "wire"])
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Sockets:
    """Stands in for the module `socket` where the gateway opens one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failure: int | None = None
        self.only_family: int | None = None
        for module in (client_socket, connecting):
            monkeypatch.setattr(module.socket, "socket", self._open)

    def _open(self, family: int = -1, *rest: Any, **named: Any) -> socket.socket:
        refused = self.only_family is None or family == self.only_family
        if self.failure is not None and refused and "fileno" not in named:
            raise OSError(self.failure, "refused by the test")
        return REAL_SOCKET(family, *rest, **named)


@pytest.mark.parametrize("failure", [errno.EMFILE, errno.ENFILE, errno.EAFNOSUPPORT])
def test_a_socket_that_cannot_be_opened_sends_nothing_and_raises_nothing(
    sender: str,
    certificate: Certificate,
    server: H2Server,
    monkeypatch: pytest.MonkeyPatch,
    failure: int,
) -> None:
    gateway = open_gateway(settings_for(sender, certificate.certificate))
    gateway.open_pool("apns", 50)
    with monkeypatch.context() as patched:
        Sockets(patched).failure = failure

        answers = send_all(gateway, *numbered(server, 5))

    assert [answer.failure for answer in answers] == [Failure.NOT_SENT] * 5
    assert send_all(gateway, a_request(server))[0].status == 200
    gateway.close()


@pytest.mark.parametrize("failure", [errno.EMFILE, errno.EAFNOSUPPORT])
@pytest.mark.parametrize("first", [socket.AF_INET6, socket.AF_INET])
def test_the_next_address_is_tried_where_the_first_one_fails(
    certificate: Certificate,
    server: H2Server,
    monkeypatch: pytest.MonkeyPatch,
    failure: int,
    first: socket.AddressFamily,
) -> None:
    """The first address is of IPv6, which this system has not, or nobody listens there."""
    ip, port = ("::1", server.port) if first == socket.AF_INET6 else ("127.0.0.1", CLOSED_PORT)
    addresses = [(first, ip, port), (socket.AF_INET, "127.0.0.1", server.port)]
    monkeypatch.setattr(connecting, "_resolve", lambda _host, _port: addresses)
    sockets = Sockets(monkeypatch)
    sockets.failure, sockets.only_family = failure, socket.AF_INET6
    gateway = open_gateway(settings_for("wire", certificate.certificate))
    gateway.open_pool("apns", 50)

    answers = send_all(gateway, *numbered(server, 5))

    assert [answer.status for answer in answers] == [200] * 5
    gateway.close()


def test_a_resolver_without_a_thread_sends_nothing_and_raises_nothing(
    certificate: Certificate, server: H2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = open_gateway(settings_for("wire", certificate.certificate))
    gateway.open_pool("apns", 50)

    def start(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("concurrent.futures.thread.threading.Thread.start", start)

        [answer] = send_all(gateway, a_request(server))

    assert answer.failure is Failure.NOT_SENT
    gateway.close()
