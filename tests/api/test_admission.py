"""Admission: a waiting call holds nothing, no call waits long, and the newsroom keeps slots."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import anyio
import pytest
from fastapi.routing import APIRoute

from service.domain.errors import Unavailable
from service.http import admission
from service.http.admission import Admission
from service.http.auth import STAFF_COOKIE

ALERT, DEVICE = "/api/stories/1/alerts", "/api/me/devices"


@pytest.fixture
def short_wait(monkeypatch):
    monkeypatch.setattr(admission, "MAX_WAIT_S", 0.05)


class NoReaders(Admission):
    """Admission with no slot for anybody but the newsroom."""

    def _limits_of(self, path, *, is_anonymous):
        if is_anonymous:
            raise admission.overloaded()
        return super()._limits_of(path, is_anonymous=is_anonymous)


async def take_slots(limits, stack, *paths):
    for path in paths:
        await stack.enter_async_context(limits.slot(path))


def test_readers_leave_the_newsroom_slots_of_its_own(short_wait):
    async def main():
        limits = Admission(8)
        async with AsyncExitStack() as stack:
            await take_slots(limits, stack, *[DEVICE] * 6)
            with pytest.raises(Unavailable):
                await take_slots(limits, stack, DEVICE)
            await take_slots(limits, stack, ALERT, ALERT)
            with pytest.raises(Unavailable):
                await take_slots(limits, stack, ALERT)

    anyio.run(main)


def test_strangers_who_sign_in_have_a_quarter_of_the_slots_and_known_browsers_all(short_wait):
    async def main():
        limits = Admission(8)
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(limits.slot("/login", is_anonymous=True))
            with pytest.raises(Unavailable):
                await stack.enter_async_context(limits.slot("/login", is_anonymous=True))
            await take_slots(limits, stack, *["/login"] * 6)

    anyio.run(main)


def test_readers_calls_start_in_a_quarter_of_the_slots_while_the_newsroom_has_a_call(short_wait):
    async def main():
        limits = Admission(8)
        async with AsyncExitStack() as stack:
            async with AsyncExitStack() as newsroom:
                await take_slots(limits, newsroom, ALERT, ALERT)
                await take_slots(limits, stack, DEVICE, DEVICE)
                with pytest.raises(Unavailable):
                    await take_slots(limits, stack, DEVICE)
            await take_slots(limits, stack, *[DEVICE] * 4)

    anyio.run(main)


def test_readers_who_wait_go_on_when_the_newsroom_has_its_answer():
    async def main():
        limits = Admission(8)
        answers = []

        async def call():
            async with limits.slot(DEVICE):
                answers.append(DEVICE)
                await anyio.sleep_forever()

        async with anyio.create_task_group() as group:
            async with limits.slot(ALERT):
                for _ in range(6):
                    group.start_soon(call)
                await anyio.wait_all_tasks_blocked()
                assert len(answers) == 2
            await anyio.wait_all_tasks_blocked()
            assert len(answers) == 6
            group.cancel_scope.cancel()

    anyio.run(main)


def test_a_call_that_was_refused_holds_no_slot(short_wait):
    async def main():
        limits = Admission(4)
        async with AsyncExitStack() as stack:
            await take_slots(limits, stack, *[ALERT] * 4)
            with pytest.raises(Unavailable) as refusal:
                await take_slots(limits, stack, DEVICE)
            assert refusal.value.retry_after > 0
        async with AsyncExitStack() as stack:
            await take_slots(limits, stack, DEVICE, DEVICE, DEVICE, ALERT)

    anyio.run(main)


def test_a_full_queue_refuses_at_once(monkeypatch):
    monkeypatch.setattr(admission, "MAX_WAITING_PER_SLOT", 2)
    monkeypatch.setattr(admission, "MAX_WAIT_S", 60.0)

    async def main():
        limits = Admission(2)
        refusals = []

        async def wait():
            async with limits.slot(ALERT):
                await anyio.sleep_forever()

        async def arrive_late():
            with anyio.fail_after(5), pytest.raises(Unavailable):
                async with limits.slot(ALERT):
                    pass
            refusals.append(True)

        async with anyio.create_task_group() as group:
            for _ in range(2 + 2 * 2):
                group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await arrive_late()
            group.cancel_scope.cancel()
        assert refusals

    anyio.run(main)


def test_more_callers_than_connections_do_not_deadlock(providers, client, make_reader):
    """Each call holds its unit of work's connection and asks for one to look up its reader."""
    readers = [make_reader() for _ in range(40)]

    def register(headers):
        device = {"provider": "apns", "address": secrets.token_hex(32)}
        return client.put("/api/me/devices", json=device, headers=headers).status_code

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(register, readers)) == {201}


def test_every_call_is_admitted_before_anything_else(app):
    calls = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(calls) > 150
    firsts = {route.path: route.dependant.dependencies[0].call for route in calls}
    assert {path for path, first in firsts.items() if first is not admission._admit} == set()


def test_a_call_that_gets_no_slot_is_told_when_to_try_again(app, client, as_ingester, short_wait):
    app.state.admission = Admission(1)
    app.state.admission._all.tokens = 0
    answer = client.post("/api/stories", json={"headline": "h", "body": "b"}, headers=as_ingester)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.get("/api/stories").status_code == 503
    assert client.get("/topics").status_code == 503
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 200
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    ("headers", "is_newsroom"),
    [
        ({"Authorization": "Bearer nzp_a_b"}, True),
        ({"Cookie": f"{STAFF_COOKIE}=x"}, True),
        ({"Authorization": "Bearer a-readers-token"}, False),
        ({"Cookie": "newszop_reader=x; analytics=y"}, False),
        ({}, False),
    ],
)
def test_only_a_key_or_a_session_makes_a_call_the_newsrooms(
    app, client, short_wait, headers, is_newsroom
):
    """Readers read stories at the addresses at which the newsroom writes them."""
    app.state.admission = NoReaders(8)
    status = client.get("/api/stories", headers=headers).status_code
    assert status == (200 if is_newsroom else 503)
