"""An alert, its devices and answers, with defaults: a test names what matters to it."""

import base64
import json
import tomllib
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from service.domain.alert import Words
from service.domain.subscription import Urgency
from tests.credentials import a_p256_key
from workers.provider import AlertContent, Answer, Credential, Provider, Request, Target
from workers.provider_kit.encryption import encode_point

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RECEIPT = "Ab3-_" * 7
FOLDER = Path(__file__).parent / "answers"
TABLES = {file.stem: tomllib.loads(file.read_text()) for file in FOLDER.glob("*.toml")}
ADDRESSES = {name: table["address"] for name, table in TABLES.items()} | {"console": "anything"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


BROWSER_KEY: ec.EllipticCurvePrivateKey = a_p256_key()
BROWSER_SECRET = bytes(range(16))


def alert_content(**given: Any) -> AlertContent:
    title, body = given.pop("title", "Rain at last"), given.pop("body", "It rains everywhere.")
    usual = {
        "alert_id": "7203685477580",
        "story_id": "9223372036854775807",
        "words": {"": Words(title, body)},
        "language": "en",
        "url": "https://news.example/stories/rain-at-last",
        "image_url": None,
        "icon_url": "https://news.example/static/icon-192.png",
        "urgency": Urgency.NORMAL,
        "collapse_key": "story-9223372036854775807",
        "expires_at": NOW + timedelta(hours=4),
    }
    return AlertContent(**usual | given)


def a_target(provider: str, position: int = 0, **given: Any) -> Target:
    usual = {
        "position": position,
        "delivery_id": f"7f0f2b52-0f33-5c0e-9d0b-{position:012x}",
        "address": ADDRESSES[provider],
        "kind": "token",
        "p256dh": b64(encode_point(BROWSER_KEY.public_key())),
        "auth": b64(BROWSER_SECRET),
        "locale": "",
        "receipt": RECEIPT,
    }
    return Target(**usual | given)


def an_answer(status: int = 200, body: object = b"", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def run(minting: Generator[Request, Answer, Credential], *answers: Answer) -> Credential:
    """Play the gateway for a credential: give the answers in turn, return what is minted."""
    waiting = list(answers)
    try:
        next(minting)
        while True:
            minting.send(waiting.pop(0))
    except StopIteration as ended:
        return ended.value


def a_credential(provider: Provider, now: datetime = NOW) -> Credential:
    token = an_answer(200, {"access_token": "ya29.token", "expires_in": 3600})
    return run(provider.credential(now), token)


def requests(
    provider: Provider, content: AlertContent, *targets: Target, now: datetime = NOW
) -> list:
    pushes = provider.pushes(content, a_credential(provider, now))
    return list(pushes.requests(targets, now))


def the_request(provider: Provider, content: AlertContent, target: Target, now: datetime = NOW):
    [request] = requests(provider, content, target, now=now)
    return request


def headers_of(request: Request) -> dict[str, str]:
    pairs = [line.split(": ", 1) for line in request.headers]
    assert len({name for name, _ in pairs}) == len(pairs), "a header is there twice"
    assert all(name == name.lower() for name, _ in pairs), "HTTP/2 wants lower case"
    return dict(pairs)
