"""Readers for the journeys: a few through the API as an app would, thousands by COPY."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from service.store.schema import new_id
from tests.system import System


@dataclass
class Reader:
    """A reader's way into the API."""

    system: System
    id: str
    token: str
    devices: list[dict[str, Any]] = field(default_factory=list)

    def call(self, method: str, path: str, **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.system.api.request(method, path, headers=headers, **given)

    def registers(self, provider: str, address: str, **given: Any) -> dict[str, Any]:
        answer = self.call(
            "PUT", "/api/me/devices", json={"provider": provider, "address": address} | given
        )
        assert answer.status_code in (200, 201), answer.text
        device = dict(answer.json()) | {"provider": provider, "address": address}
        self.devices.append(device)
        return device

    def follows(self, topic: str, **given: Any) -> None:
        answer = self.call("PUT", f"/api/me/subscriptions/{topic}", json=given)
        assert answer.status_code in (200, 201), answer.text


def soon(seconds: float) -> str:
    """A moment in the near future, or past, as the API reads it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def apns_address() -> str:
    return secrets.token_hex(32)


def fcm_address() -> str:
    return f"{secrets.token_urlsafe(16)[:22]}:APA91b{secrets.token_urlsafe(100)[:134]}"


def hms_address() -> str:
    return f"IQAAAACy{secrets.token_urlsafe(90)}"


def expo_address() -> str:
    return f"ExponentPushToken[{secrets.token_urlsafe(16)[:22]}]"


class People:
    """Makes readers for one test, on a topic of its own."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.topic = f"journeys/t{secrets.token_hex(6)}"
        system.answer("POST", "/api/topics", json={"path": self.topic})

    def reader(self, **given: Any) -> Reader:
        made = self.system.answer("POST", "/api/readers", json=given)
        return Reader(self.system, made["id"], made["token"])

    def browser(self) -> dict[str, Any]:
        """A Web Push subscription that the stand-in can decrypt for."""
        answer = self.system.control.post("/control/subscriptions", json={"provider": "webpush"})
        return dict(answer.raise_for_status().json()["items"][0])

    def follower_on_all(self) -> Reader:
        """A reader who follows the topic with a phone of each kind and a browser."""
        reader = self.reader()
        reader.registers("apns", apns_address())
        reader.registers("fcm", fcm_address())
        browser = self.browser()
        reader.registers("webpush", browser["address"], keys=browser["keys"])
        reader.follows(self.topic)
        return reader

    def crowd(self, devices: dict[str, int], *, trusted: bool = True) -> list[str]:
        """Add followers of the topic with one device each; returns their addresses.

        `trusted` ones count as accepted by their provider before, as imported ones do.
        """
        makers = {
            "apns": apns_address,
            "fcm": fcm_address,
            "hms": hms_address,
            "expo": expo_address,
        }
        rows = [
            (new_id(), new_id(), provider, makers[provider]())
            for provider, n in devices.items()
            for _ in range(n)
        ]
        with psycopg.connect(self.system.servers.database_url) as connection:
            self._copy(connection, rows, datetime.now(UTC) if trusted else None)
        return [address for *_, address in rows]

    def _copy(
        self,
        connection: psycopg.Connection,
        rows: list[tuple[int, int, str, str]],
        trusted_at: datetime | None,
    ) -> None:
        found = connection.execute("SELECT id FROM topic WHERE path = %s", (self.topic,)).fetchone()
        assert found is not None
        with connection.cursor() as cursor:
            with cursor.copy("COPY reader (id, token_hash, language, timezone) FROM STDIN") as copy:
                for reader, *_ in rows:
                    copy.write_row((reader, hashlib.sha256(b"%d" % reader).digest(), "en", "UTC"))
            with cursor.copy(
                "COPY device (id, reader_id, provider, kind, address, address_hash, trusted_at)"
                " FROM STDIN"
            ) as copy:
                for reader, device, provider, address in rows:
                    digest = hashlib.sha256(f"{provider}\0{address}".encode()).digest()
                    kind = "token" if provider == "fcm" else ""
                    copy.write_row((device, reader, provider, kind, address, digest, trusted_at))
            with cursor.copy("COPY subscription (reader_id, topic_id) FROM STDIN") as copy:
                for reader, *_ in rows:
                    copy.write_row((reader, found[0]))
        connection.commit()
        connection.execute("ANALYZE")
        connection.commit()
