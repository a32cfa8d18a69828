"""What each spelling of a private address gets at connect time, with every sender.

A host name can resolve to anything, so the address that is connected to is judged, not the name.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from workers.gateway.contract import Gateway
from workers.gateway.network_guard import may_connect
from workers.gateway.opening import open_gateway
from workers.provider import Failure, Request

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.254",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
    "",
]
PUBLIC = ["1.1.1.1", "17.188.143.34", "142.250.74.42", "2606:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize("ip", NOT_PUBLIC)
def test_what_is_not_public_is_not_connected_to(ip: str) -> None:
    assert not may_connect(ip, "push.example", 443, guard=lambda _host, _port: False)


@pytest.mark.parametrize("ip", PUBLIC)
def test_what_is_public_is_connected_to(ip: str) -> None:
    assert may_connect(ip, "push.example", 443, guard=lambda _host, _port: False)


@pytest.mark.parametrize("ip", [*NOT_PUBLIC, *PUBLIC])
def test_an_origin_that_an_operator_named_may_be_anywhere(ip: str) -> None:
    assert may_connect(ip, "apns.internal", 443, guard=None)


def test_the_guard_is_asked_for_the_very_pair() -> None:
    def guard(host: str, port: int) -> bool:
        return (host, port) == ("push.internal", 8443)

    assert may_connect("10.0.0.1", "push.internal", 8443, guard)
    assert not may_connect("10.0.0.1", "push.internal", 443, guard)
    assert not may_connect("10.0.0.1", "other.internal", 8443, guard)


@pytest.fixture(params=["curl", "httpx", "wire"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    opened = open_gateway(
        Settings(
            database_url="postgresql://nowhere",
            redis_url="redis://nowhere",
            secret_key="a secret of sixteen letters",
            sender=request.param,
            ca_file=None,
            request_timeout_s=2,
        )
    )
    opened.open_pool("webpush", 5, guard=lambda _host, _port: False)
    yield opened
    opened.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Something on loopback that a request must never reach."""
    opened = socket.create_server(("127.0.0.1", 0))
    opened.settimeout(0.1)
    yield opened
    opened.close()


SPELLINGS = [
    "127.0.0.1",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.1",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::]",
    "127.0.0.1.",
    "\uff11\uff12\uff17.0.0.1",
    "localhost.",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_this_machine_is_reached(
    gateway: Gateway, listener: socket.socket, host: str
) -> None:
    port = listener.getsockname()[1]
    request = Request(f"https://{host}:{port}/wpush/secret", ["ttl: 60"], b"x")

    [(_, answer)] = gateway.send("webpush", [request])

    assert answer.failure in (Failure.FORBIDDEN, Failure.NOT_SENT)
    assert answer.status == 0
    with pytest.raises(TimeoutError):
        listener.accept()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_what_resolves_here_is_called_forbidden(gateway: Gateway, host: str) -> None:
    [(_, answer)] = gateway.send("webpush", [Request(f"https://{host}:9/", ["ttl: 60"], b"x")])

    assert answer.failure is Failure.FORBIDDEN


def test_a_login_in_the_address_is_refused(gateway: Gateway) -> None:
    request = Request("https://push.example@127.0.0.1/", ["ttl: 60"], b"x")

    [(_, answer)] = gateway.send("webpush", [request])

    assert answer.failure is Failure.FORBIDDEN


def test_a_unix_socket_is_no_origin(gateway: Gateway, tmp_path: Path) -> None:
    request = Request(f"http+unix://{tmp_path}/socket", ["ttl: 60"], b"x")

    [(_, answer)] = gateway.send("webpush", [request])

    assert answer.failure is Failure.FORBIDDEN
