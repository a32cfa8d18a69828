"""What the tests of the gateway share: how one is opened, used and watched."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.settings import Settings
from tests.workers.h2_server import H2Server
from workers.gateway.contract import Gateway
from workers.provider import Answer, Request

HEADERS = ["content-type: application/json", "authorization: bearer of-good-news"]
BODY = b'{"aps":{"alert":{"title":"It rained"}}}'
SENDERS = ["curl", "httpx", "wire"]

Serve = Callable[..., H2Server]


def settings_for(sender: str, ca_file: Path | None, timeout_s: float = 1.0) -> Settings:
    return Settings(
        database_url="postgresql://nowhere",
        redis_url="redis://nowhere",
        secret_key="a secret of sixteen letters",
        sender=sender,  # type: ignore[arg-type]
        ca_file=ca_file,
        request_timeout_s=timeout_s,
    )


def a_request(server: H2Server, path: str = "/answer/200", body: bytes = BODY) -> Request:
    return Request(f"{server.origin}{path}", HEADERS, body)


def send_all(gateway: Gateway, *requests: Request, pool: str = "apns") -> list[Answer]:
    """Send them all; returns the answers in the order of the requests, each exactly once."""
    answers: dict[int, Answer] = {}
    for request, answer in gateway.send(pool, requests):
        assert id(request) not in answers, "answered twice"
        answers[id(request)] = answer
    assert gateway.in_flight() == 0
    return [answers[id(request)] for request in requests]


def numbered(server: H2Server, count: int, path: str = "/answer/200") -> list[Request]:
    return [a_request(server, path, b"%d" % n) for n in range(count)]


def assert_seen_once(server: H2Server) -> None:
    assert [what for what, times in server.seen.times().items() if times > 1] == []


def send_one(gateway: Gateway, pool: str, request: Request) -> Answer:
    gateway.submit(pool, request)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        for answered, answer in gateway.poll(0.1):
            if answered is request:
                return answer
    pytest.fail("no answer came")
