"""Few calls compute on the event loop at once, and one caller with many is one of the circle."""

import asyncio
from ipaddress import ip_network
from types import SimpleNamespace

import pytest

from service.hot.call import Answer
from service.hot.hot_calls import HotCalls, Route
from service.hot.turns import AT_ONCE, Turns
from service.http.limits.call_turn import TURN, CallTurn, end_turn, without_turn
from service.http.limits.fair_limiter import FairLimiter
from service.web.files import BuildFiles
from service.web.rendering import STATIC

STRANGER, READER = "203.0.113.7", "203.0.113.8"
PROXY = "10.0.0.1"


def scope_of(caller, path="/topics", *headers, client=PROXY):
    forwarded = (b"x-forwarded-for", caller.encode())
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "client": (client, 1),
        "scheme": "http",
        "headers": [forwarded, *headers],
    }


class Application:
    """Stands behind: notes who computes, and goes on computing until it is told to end."""

    def __init__(self):
        self.begun: list[str] = []
        self.end = asyncio.Event()
        self.behave = self.compute

    async def __call__(self, scope, receive, send):
        self.begun.append(dict(scope["headers"])[b"x-forwarded-for"].decode())
        await self.behave(scope, receive, send)

    async def compute(self, _scope, _receive, _send):
        await self.end.wait()

    async def wait_for_a_slot(self, scope, _receive, _send):
        end_turn(scope)
        await self.end.wait()

    async def look_its_caller_up(self, scope, _receive, _send):
        async with without_turn(scope):
            await self.end.wait()

    async def answer_slowly(self, _scope, _receive, send):
        await send({"type": "http.response.start", "status": 200})
        await self.end.wait()

    async def read_its_body(self, _scope, receive, _send):
        await receive()


def calls_before(application, routes=()):
    requests = SimpleNamespace(tallies=SimpleNamespace(count=lambda *_: None))
    turns = Turns([ip_network(f"{PROXY}/32")])
    return HotCalls(application, dict(routes), requests, turns, is_https=False)


async def drop(_message):
    pass


async def never():
    await asyncio.Event().wait()


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def begin(calls, *scopes):
    return [asyncio.create_task(calls(scope, never, drop)) for scope in scopes]


async def end_all(application, tasks):
    application.end.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_caller_with_many_connections_is_one_of_the_circle():
    async def main():
        application = Application()
        calls = calls_before(application)
        tasks = begin(calls, *[scope_of(STRANGER)] * 64)
        await settle()
        assert application.begun == [STRANGER] * AT_ONCE
        tasks += begin(calls, scope_of(READER))
        await settle()
        tasks[0].cancel()
        tasks[1].cancel()
        await settle()
        assert application.begun[AT_ONCE:] == [STRANGER, READER]
        await end_all(application, tasks)

    asyncio.run(main())


def test_one_ipv6_network_is_one_caller_and_who_writes_a_header_without_a_proxy_is_nobody():
    async def main():
        application = Application()
        calls = calls_before(application)
        tasks = begin(calls, *[scope_of(f"2001:db8::{n:x}") for n in range(1, 30)])
        tasks += begin(calls, *[scope_of(f"9.9.9.{n}", client="192.0.2.1") for n in range(9)])
        await settle()
        tasks += begin(calls, scope_of(READER))
        for task in tasks[:4]:
            task.cancel()
        await settle()
        assert READER in application.begun[AT_ONCE : AT_ONCE + 3]
        await end_all(application, tasks)

    asyncio.run(main())


@pytest.mark.parametrize(
    "behaviour", ["wait_for_a_slot", "look_its_caller_up", "answer_slowly", "read_its_body"]
)
def test_a_call_that_waits_has_no_turn(behaviour):
    async def main():
        application = Application()
        application.behave = getattr(application, behaviour)
        calls = calls_before(application)
        tasks = begin(calls, *[scope_of(STRANGER)] * 64)
        await settle()
        assert len(application.begun) == 64
        await end_all(application, tasks)

    asyncio.run(main())


def test_the_newsroom_has_turns_of_its_own():
    async def main():
        application = Application()
        calls = calls_before(application)
        tasks = begin(calls, *[scope_of(STRANGER)] * 64)
        await settle()
        key = (b"authorization", b"Bearer nzp_x")
        tasks += begin(calls, *[scope_of(READER, "/api/alerts", key)] * 9)
        await settle()
        assert application.begun == [STRANGER] * AT_ONCE + [READER] * AT_ONCE
        await end_all(application, tasks)

    asyncio.run(main())


def test_a_hot_call_waits_for_its_turn_and_not_for_its_group_with_it():
    async def main():
        application, answered = Application(), []

        async def answer(call):
            answered.append(call)
            await call.wait_for(application.end.wait())
            return Answer(200)

        calls = calls_before(application, {("GET", "/hot"): Route("/hot", answer)}.items())
        tasks = begin(calls, *[scope_of(READER, "/hot")] * 64)
        await settle()
        assert len(answered) == 64
        ordinary = begin(calls, *[scope_of(STRANGER)] * AT_ONCE)
        await settle()
        late = begin(calls, scope_of(READER, "/hot"))
        await settle()
        assert len(answered) == 64
        ordinary[0].cancel()
        await settle()
        assert len(answered) == 65
        await end_all(application, [*tasks, *ordinary, *late])

    asyncio.run(main())


def test_a_turn_that_ends_while_it_is_awaited_is_given_back():
    async def main():
        limiter = FairLimiter(1, 9)
        await limiter.acquire(STRANGER)
        turn = CallTurn(limiter, lambda: READER)
        waiting = asyncio.create_task(turn.take())
        await settle()
        turn.end()
        limiter.release()
        await waiting
        assert limiter.is_free

    asyncio.run(main())


def test_a_call_is_refused_where_more_wait_for_a_turn_than_can_be_connected():
    async def main():
        application, sent = Application(), []

        async def send(message):
            sent.append(message)

        calls = calls_before(application)
        calls.turns._others = FairLimiter(0, 1)
        tasks = begin(calls, scope_of(STRANGER))
        await settle()
        await calls(scope_of(STRANGER), never, send)
        assert sent[0]["status"] == 503
        assert b"retry-after" in dict(sent[0]["headers"])
        assert application.begun == []
        await end_all(application, tasks)

    asyncio.run(main())


def test_a_file_is_looked_up_without_a_turn(monkeypatch):
    async def main():
        limiter, is_free, files = FairLimiter(1, 1), [], BuildFiles(directory=STATIC)
        turn, look_up = CallTurn(limiter, lambda: READER), files.lookup_path
        await turn.take()

        def note_turn(path):
            is_free.append(limiter.is_free)
            return look_up(path)

        monkeypatch.setattr(files, "lookup_path", note_turn)
        scope = {"method": "GET", "headers": [], "path_params": {}, TURN: turn}
        answer = await files.get_response("css/site.css", scope)
        assert (answer.status_code, is_free) == (200, [True])

    asyncio.run(main())
