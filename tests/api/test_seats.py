"""Seats: whoever waits holds nothing, nobody waits long, and the newsroom keeps some."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import anyio
import pytest

from service.domain.errors import Unavailable
from service.http import admission
from service.http.admission import Seats

ALERT, DEVICE = "/api/stories/1/alerts", "/api/me/devices"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(admission, "PATIENCE_S", 0.05)


async def take(room, held, *paths):
    for path in paths:
        await held.enter_async_context(room.taken(path))


def test_readers_leave_the_newsroom_seats_of_its_own(impatient):
    async def main():
        room = Seats(8)
        async with AsyncExitStack() as held:
            await take(room, held, *[DEVICE] * 6)
            with pytest.raises(Unavailable):
                await take(room, held, DEVICE)
            await take(room, held, ALERT, ALERT)
            with pytest.raises(Unavailable):
                await take(room, held, ALERT)

    anyio.run(main)


def test_whoever_was_turned_away_holds_no_seat(impatient):
    async def main():
        room = Seats(4)
        async with AsyncExitStack() as held:
            await take(room, held, *[ALERT] * 4)
            with pytest.raises(Unavailable) as refusal:
                await take(room, held, DEVICE)
            assert refusal.value.retry_after > 0
        async with AsyncExitStack() as held:
            await take(room, held, DEVICE, DEVICE, DEVICE, ALERT)

    anyio.run(main)


def test_a_full_room_turns_away_at_once(monkeypatch):
    monkeypatch.setattr(admission, "WAITING_PER_SEAT", 2)
    monkeypatch.setattr(admission, "PATIENCE_S", 60.0)

    async def main():
        room = Seats(2)
        turned_away = []

        async def wait():
            async with room.taken(ALERT):
                await anyio.sleep_forever()

        async def come_late():
            with anyio.fail_after(5), pytest.raises(Unavailable):
                async with room.taken(ALERT):
                    pass
            turned_away.append(True)

        async with anyio.create_task_group() as group:
            for _ in range(2 + 2 * 2):
                group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await come_late()
            group.cancel_scope.cancel()
        assert turned_away

    anyio.run(main)


def test_more_callers_than_connections_do_not_wait_for_each_other_in_a_circle(
    providers, client, make_reader
):
    """Each call holds its work's connection and asks for its reader's: in a circle they waited."""
    readers = [make_reader() for _ in range(40)]

    def register(headers):
        device = {"provider": "apns", "address": secrets.token_hex(32)}
        return client.put("/api/me/devices", json=device, headers=headers).status_code

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(register, readers)) == {201}


def test_a_call_for_which_no_seat_came_free_is_told_when_to_come_again(
    app, client, as_ingester, impatient
):
    app.state.seats = Seats(1)
    app.state.seats._all.total_tokens = 0
    answer = client.post("/api/stories", json={"headline": "h", "body": "b"}, headers=as_ingester)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.get("/api/stories").status_code == 503
    assert client.get("/topics").status_code == 503
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 200
    assert client.get("/metrics").status_code == 200
