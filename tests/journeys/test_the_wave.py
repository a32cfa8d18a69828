"""What an alert brings back is counted exactly, also when the service dies while it comes in.

`WAVE_RECEIPTS` (default 3,000) is how many receipts come in.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import httpx
import pytest

from service.domain import receipt
from service.domain.delivery import State
from service.store.session import transaction
from tests import builders as a

RECEIPTS = int(os.environ.get("WAVE_RECEIPTS", "3000"))
BATCH = 500
CLIENTS = 8
PER_CALL = (1, 1, 1, 1, 25, 250)
KILLS = 1


@pytest.fixture
def alert_id(system):
    """An alert whose deliveries were all accepted, in as many batches as the receipts need."""
    with transaction(system.engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="finished")
        for n in range(RECEIPTS // BATCH):
            a.a_batch(session, alert, [State.ACCEPTED] * BATCH, shard_n=n)
        return alert.id


def calls(system, alert_id: int, places: Iterator[tuple[int, str]]) -> Iterator[object]:
    """Yield the bodies that hand in receipts, singly or in bulk, as chance has it."""
    secret = system.environment["NEWSZOP_SECRET_KEY"].encode()
    chance = random.Random(7)
    items = [
        {
            "receipt": receipt.sign(secret, alert_id, place // BATCH, 0, place % BATCH),
            "kind": kind,
        }
        for place, kind in places
    ]
    begin = 0
    while begin < len(items):
        part = items[begin : begin + chance.choice(PER_CALL)]
        begin += len(part)
        yield part[0] if len(part) == 1 else {"items": part}


class Client(threading.Thread):
    """Hands in what waits in the queue, each call until it is answered, and some twice."""

    def __init__(self, url: str, queue: "SimpleQueue[object]", answers: Counter[str]) -> None:
        super().__init__(daemon=True)
        self.url, self.queue, self.answers = url, queue, answers

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while True:
                try:
                    body = self.queue.get_nowait()
                except Empty:
                    return
                repeats = random.choice((1, 1, 1, 2))
                while repeats:
                    try:
                        answer = client.post("/api/receipts", json=body)
                    except httpx.TransportError:
                        self.answers["broken off"] += 1
                        time.sleep(0.05)
                        continue
                    self.answers[str(answer.status_code)] += 1
                    repeats -= answer.is_success
                    if not answer.is_success:
                        time.sleep(0.05)


def test_receipts_in_any_mix_are_counted_exactly_while_the_service_is_killed(system, alert_id):
    shown, opened = range(RECEIPTS), range(0, RECEIPTS, 7)
    places = [*((n, "shown") for n in shown), *((n, "opened") for n in opened)]
    random.Random(3).shuffle(places)
    queue: SimpleQueue[object] = SimpleQueue()
    for body in calls(system, alert_id, iter(places)):
        queue.put(body)
    size, answers = queue.qsize(), Counter[str]()
    clients = [Client(system.url, queue, answers) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for share in range(KILLS, 0, -1):
        limit = size * share // (KILLS + 1)
        system.await_true(lambda limit=limit: queue.qsize() <= limit, "some were answered", 600)
        system.kill("service")
        system.start("service")
    for client in clients:
        client.join(600)
    print(f"{size:,} calls, {len(places):,} receipts, {dict(answers)}")
    counts = system.alert({"id": alert_id})["receipts"]
    assert counts == {"shown": len(shown), "opened": len(opened)}
    assert set(answers) <= {"200", "204", "503", "broken off"}
