"""The calls that an alert brings back, as many as are asked for, and the data that they need."""

import json
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from service.actions import readers as reader_actions
from service.domain import receipt
from service.domain.delivery import State
from service.domain.device import Registration
from service.store.readers import devices
from service.store.session import transaction
from service.unit_of_work import unit_of_work
from tests import builders as a

READERS = 8_000
BATCHES = 100
BATCH_SIZE = 1_000
Request = dict[str, Any]


class _NoBroker:
    def send(self, message: object) -> None:
        raise AssertionError(message)


def request(method: str, path: str, body: Any = None, token: str | None = None) -> Request:
    headers = [] if token is None else [["Authorization", f"Bearer {token}"]]
    text = "" if body is None else json.dumps(body)
    return {"method": method, "path": path, "headers": headers, "body": text}


@dataclass
class WaveData:
    """Readers with a device each, a topic, an alert with its batches."""

    secret: bytes
    tokens: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    alert_id: int = 0
    topics: list[str] = field(default_factory=list)
    slug: str = ""

    def fill(self, engine: Engine) -> None:
        """Write the rows that the calls are about."""
        with unit_of_work(engine, _NoBroker()) as work:
            registrations = []
            for _ in range(READERS):
                reader, token = reader_actions.register_reader(work)
                address = secrets.token_hex(32)
                self.tokens.append(token)
                self.addresses.append(address)
                registration = Registration(provider="apns", address=address, kind="token")
                registrations.append((reader.id, registration))
            devices.add_many(work.session, registrations, datetime.now(UTC))
            self.topics = [a.a_topic(work.session, f"wave-{n}").path for n in range(20)]
        with transaction(engine) as session:
            story = a.a_story(session)
            self.slug = story.slug
            alert = a.an_alert(session, story, state="finished")
            for n in range(BATCHES):
                a.a_batch(session, alert, [State.ACCEPTED] * BATCH_SIZE, shard_n=n)
            self.alert_id = alert.id

    def calls(self) -> dict[str, Callable[[int], list[Request]]]:
        """Return what makes so many requests of each call."""
        return {
            "POST /api/receipts": self.receipts,
            "GET /api/me": self.me,
            "GET /api/me/subscriptions": self.subscriptions,
            "PUT /api/me/subscriptions/...": self.follows,
            "POST /api/readers": lambda n: [request("POST", "/api/readers", {}) for _ in range(n)],
            "PUT /api/me/devices, known address": self.renewals,
            "PUT /api/me/devices, new address": self.registrations,
        }

    def receipts(self, count: int) -> list[Request]:
        return [request("POST", "/api/receipts", one) for one in self.receipt_items(count)]

    def receipt_items(self, count: int) -> list[dict[str, str]]:
        """Return receipts of devices drawn by chance, as a rush brings them."""
        places = [divmod(random.randrange(BATCHES * BATCH_SIZE), BATCH_SIZE) for _ in range(count)]
        return [
            {
                "receipt": receipt.sign(self.secret, self.alert_id, shard, 0, position),
                "kind": random.choice(("shown", "opened")),
            }
            for shard, position in places
        ]

    def me(self, count: int) -> list[Request]:
        return [request("GET", "/api/me", token=self._token(n)) for n in range(count)]

    def subscriptions(self, count: int) -> list[Request]:
        path = "/api/me/subscriptions"
        return [request("GET", path, token=self._token(n)) for n in range(count)]

    def follows(self, count: int) -> list[Request]:
        paths = [f"/api/me/subscriptions/{random.choice(self.topics)}" for _ in range(count)]
        return [request("PUT", path, {}, self._token(n)) for n, path in enumerate(paths)]

    def renewals(self, count: int) -> list[Request]:
        return [self._register(n, self.addresses[n % READERS]) for n in range(count)]

    def registrations(self, count: int) -> list[Request]:
        return [self._register(n, secrets.token_hex(32)) for n in range(count)]

    def _register(self, n: int, address: str) -> Request:
        body = {"provider": "apns", "address": address, "locale": "en"}
        return request("PUT", "/api/me/devices", body, self._token(n))

    def _token(self, n: int) -> str:
        return self.tokens[n % READERS]
