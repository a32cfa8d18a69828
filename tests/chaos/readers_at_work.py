"""Readers who register, renew, follow and send receipts all the time while faults happen.

Each repeats a call until it is answered, as an app does. What was answered must be on record at
the end: `answered_calls.py` compares.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from service.domain import receipt
from service.domain.delivery import State
from service.store.session import transaction
from tests import builders as a
from tests.chaos.answered_calls import AnsweredCalls
from tests.chaos.editors import ANSWER_S
from tests.system import System

TOPIC = "chaos/readers"
CLIENTS = 4
BATCH = 1000
BATCHES = 60
"""Of the alert whose receipts come in: each receipt is sent by one client only."""
PAUSE_S = 0.01
MOST_READERS = 50
"""Of one client; it goes on with these."""
LOCALES = ("en", "hi", "pt-BR", "ta")
URGENCIES = ("quiet", "normal", "breaking")
PER_CALL = (1, 1, 1, 30)


class ReadersAtWork:
    """The clients, and the alert whose receipts they send; each rests `pause_s` between calls."""

    def __init__(self, system: System, seed: int, pause_s: float = PAUSE_S) -> None:
        system.answer("POST", "/api/topics", json={"path": TOPIC})
        with transaction(system.engine) as session:
            alert = a.an_alert(session, a.a_story(session), state="finished", settled=True)
            for n in range(BATCHES):
                a.a_batch(session, alert, [State.ACCEPTED] * BATCH, shard_n=n)
            self.alert_id = int(alert.id)
        self._clients = [_Client(system, self.alert_id, n, seed, pause_s) for n in range(CLIENTS)]

    def start(self) -> None:
        """Begin, each in a thread of its own."""
        for client in self._clients:
            client.start()

    def finish(self) -> tuple[AnsweredCalls, list[str]]:
        """Let each have its last answer; return what was answered, and the complaints."""
        total, complaints = AnsweredCalls(), []
        for client in self._clients:
            client.end.set()
        for client in self._clients:
            client.join()
            total.add(client.answered)
            complaints += client.complaints
        return total, complaints


class _Client(threading.Thread):
    """One client with readers of its own; it sends every fourth receipt of the alert."""

    def __init__(
        self, system: System, alert_id: int, number: int, seed: int, pause_s: float
    ) -> None:
        super().__init__(daemon=True)
        self._pause_s = pause_s
        self.end = threading.Event()
        self.answered = AnsweredCalls()
        self.complaints: list[str] = []
        self._system = system
        self._alert_id = alert_id
        self._secret = system.environment["NEWSZOP_SECRET_KEY"].encode()
        self._draw = random.Random(seed * 101 + number)
        self._places = iter(range(number, BATCHES * BATCH, CLIENTS))
        self._readers: list[tuple[int, str, str]] = []
        """Id, token and address of the one device."""

    def run(self) -> None:
        """Work until the end, and to the answer of the call that is on its way."""
        with httpx.Client(base_url=self._system.url, timeout=20) as self._http:
            actions: list[Callable[[], None]] = [
                self._register,
                self._renew,
                self._follow,
                self._unfollow,
                self._hand_in_receipts,
                self._hand_in_receipts,
            ]
            try:
                self._register()
                while not self.end.wait(self._pause_s):
                    self._draw.choice(actions)()
            except AssertionError as error:
                self.complaints.append(f"a reader gave up: {error}")

    def _register(self) -> None:
        if len(self._readers) >= MOST_READERS:
            self._renew()
            return
        answer = self._call_until_answered("POST", "/api/readers", {})
        reader, token = int(answer["id"]), str(answer["token"])
        self.answered.readers.add(reader)
        self._readers.append((reader, token, secrets.token_hex(32)))
        self._put_device(self._readers[-1])

    def _renew(self) -> None:
        self._put_device(self._draw.choice(self._readers))

    def _put_device(self, reader: tuple[int, str, str]) -> None:
        reader_id, token, address = reader
        locale = self._draw.choice(LOCALES)
        body = {"provider": "apns", "address": address, "locale": locale}
        device = int(self._call_until_answered("PUT", "/api/me/devices", body, token)["id"])
        self.answered.owners[device] = reader_id
        self.answered.locales[device] = locale

    def _follow(self) -> None:
        reader_id, token, _ = self._draw.choice(self._readers)
        urgency = self._draw.choice(URGENCIES)
        path, body = f"/api/me/subscriptions/{TOPIC}", {"least_urgency": urgency}
        self._call_until_answered("PUT", path, body, token)
        self.answered.follows[reader_id] = urgency

    def _unfollow(self) -> None:
        reader_id, token, _ = self._draw.choice(self._readers)
        self._call_until_answered("DELETE", f"/api/me/subscriptions/{TOPIC}", None, token)
        self.answered.follows[reader_id] = None

    def _hand_in_receipts(self) -> None:
        count = self._draw.choice(PER_CALL)
        places = [place for place, _ in zip(self._places, range(count), strict=False)]
        kind = self._draw.choice(("shown", "opened"))
        items = [
            {
                "receipt": receipt.sign(
                    self._secret, self._alert_id, place // BATCH, 0, place % BATCH
                ),
                "kind": kind,
            }
            for place in places
        ]
        if not items:
            return
        body: Any = items[0] if len(items) == 1 else {"items": items}
        answered, sent = self._sets_of(kind)
        sent.update(places)
        for _ in range(self._draw.choice((1, 1, 2))):  # some are sent again after their answer
            self._call_until_answered("POST", "/api/receipts", body)
            answered.update(places)

    def _sets_of(self, kind: str) -> tuple[set[int], set[int]]:
        """Return where receipts of this kind are noted: answered, and sent at least once."""
        if kind == "shown":
            return self.answered.shown, self.answered.shown_sent
        return self.answered.opened, self.answered.opened_sent

    def _call_until_answered(
        self, method: str, path: str, body: Any, token: str | None = None
    ) -> dict[str, Any]:
        """Repeat a call until it succeeds; a refusal that is no outage raises `AssertionError`."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        until = time.monotonic() + ANSWER_S
        while time.monotonic() < until:
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.is_success:
                self.answered.calls += 1
                return dict(answer.json()) if answer.content else {}
            assert answer.status_code >= 500, f"{path}: {answer.status_code} {answer.text}"
            time.sleep(0.1)
        raise AssertionError(f"no answer to {method} {path}")
