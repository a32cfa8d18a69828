"""Connections that stay open while nothing comes back, and those that a server ends often."""

import time
from collections.abc import Iterator

import pytest

from tests.workers.certificates import Certificate
from tests.workers.gateways import Serve, assert_seen_once, numbered, send_all, settings_for
from tests.workers.h2_server import H2Server
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway
from workers.provider import Failure


@pytest.fixture(params=["curl", "wire"])
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def patient(sender: str, certificate: Certificate) -> Iterator[Gateway]:
    """A gateway whose requests have all the time in the world."""
    opened = open_gateway(settings_for(sender, certificate.certificate, timeout_s=60))
    opened.open_pool("apns", 50)
    yield opened
    opened.close()


def test_after_one_time_out_on_a_deaf_connection_the_next_pushes_take_another(
    gateway: Gateway, server: H2Server
) -> None:
    send_all(gateway, *numbered(server, 10))
    server.deafen()

    lost = send_all(gateway, *numbered(server, 40))
    again = send_all(gateway, *numbered(server, 40))

    assert {answer.failure for answer in lost} <= {Failure.UNKNOWN, Failure.NOT_SENT}
    assert [answer.status for answer in again] == [200] * 40


def test_pushes_that_were_abandoned_on_a_deaf_connection_take_another_the_next_time(
    patient: Gateway, server: H2Server
) -> None:
    """A stream of pushes makes way after some seconds: nothing of it ever times out."""
    send_all(patient, *numbered(server, 10))
    server.deafen()
    for request in numbered(server, 40):
        patient.submit("apns", request)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        patient.poll(0.1)
    patient.abandon()

    begin = time.monotonic()
    again = send_all(patient, *numbered(server, 40))

    assert [answer.status for answer in again] == [200] * 40
    assert time.monotonic() - begin < 5


def test_new_pushes_do_not_wait_behind_those_on_a_deaf_connection(
    certificate: Certificate, server: H2Server
) -> None:
    gateway = open_gateway(settings_for("wire", certificate.certificate, timeout_s=60))
    gateway.open_pool("apns", 50)
    send_all(gateway, *numbered(server, 10))
    server.deafen()
    for request in numbered(server, 10):
        gateway.submit("apns", request)
    until = time.monotonic() + 4.5
    while time.monotonic() < until:
        gateway.poll(0.1)

    for request in numbered(server, 10):
        gateway.submit("apns", request)
    answers = []
    until = time.monotonic() + 2
    while len(answers) < 10 and time.monotonic() < until:
        answers += gateway.poll(0.1)

    assert [answer.status for _, answer in answers] == [200] * 10
    gateway.close()


def test_a_connection_that_was_idle_for_long_is_asked_for_a_sign_before_it_is_used(
    certificate: Certificate, server: H2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.gateway.http2.liveness.IDLE_S", 0.2)
    gateway = open_gateway(settings_for("wire", certificate.certificate, timeout_s=60))
    gateway.open_pool("apns", 50)
    send_all(gateway, *numbered(server, 10))
    time.sleep(0.3)
    assert send_all(gateway, *numbered(server, 10))[0].status == 200
    assert server.seen.connections == 1
    server.deafen()
    time.sleep(0.3)

    begin = time.monotonic()
    answers = send_all(gateway, *numbered(server, 40))

    assert [answer.status for answer in answers] == [200] * 40
    assert time.monotonic() - begin < 3
    assert server.seen.connections == 2
    gateway.close()


def test_a_server_that_only_takes_its_time_keeps_its_connection(
    sender: str, certificate: Certificate, server: H2Server
) -> None:
    gateway = open_gateway(settings_for(sender, certificate.certificate, timeout_s=3))
    gateway.open_pool("apns", 50)
    send_all(gateway, *numbered(server, 10))

    answers = send_all(gateway, *numbered(server, 10, "/slow/2"))

    assert [answer.status for answer in answers] == [200] * 10
    assert server.seen.connections == 1
    gateway.close()


def test_a_server_that_ends_every_connection_after_25_requests_is_followed_at_once(
    certificate: Certificate, serve: Serve
) -> None:
    server = serve(requests_per_connection=25)
    gateway = open_gateway(settings_for("wire", certificate.certificate, timeout_s=15))
    gateway.open_pool("apns", 900)

    answers = send_all(gateway, *numbered(server, 300))

    assert [answer.status for answer in answers] == [200] * 300
    assert server.seen.connections == 12
    assert_seen_once(server)
    gateway.close()
