"""Readers' calls give way to the newsroom's, and neither can stop the other."""

import asyncio
from types import SimpleNamespace

import pytest

from service.hot.call import Answer
from service.hot.hot_calls import HotCalls, Route
from service.hot.newsroom_first import NewsroomFirst, is_newsrooms
from service.hot.turns import Turns
from service.http.limits.fair_limiter import FairLimiter


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


class Readers:
    """The turns of readers' calls, and the pauses that the newsroom makes in them."""

    def __init__(self, pause_s, clock):
        self.turns = FairLimiter(1, 100)
        self.newsroom = NewsroomFirst(self.turns, pause_s, clock)

    def has_to_wait(self):
        """Whether a reader's call that comes now does not begin at once."""
        has_turn = self.turns.acquire_now()
        if has_turn:
            self.turns.release()
        return not has_turn

    async def wait(self):
        await self.turns.acquire("reader")
        self.turns.release()


def test_readers_calls_begin_when_the_last_call_of_the_newsroom_has_ended(clock):
    async def main():
        readers = Readers(60, clock)
        assert not readers.has_to_wait()
        with readers.newsroom.call():
            waiting = asyncio.create_task(readers.wait())
            with readers.newsroom.call():
                assert readers.has_to_wait()
            assert readers.has_to_wait()
        await waiting
        assert not readers.has_to_wait()

    asyncio.run(main())


def test_after_a_pause_readers_have_as_long_to_themselves(clock):
    async def main():
        readers = Readers(60, clock)
        with readers.newsroom.call():
            clock.seconds += 0.5
        for seconds, is_paused in ((0.0, False), (0.4, False), (0.2, True)):
            clock.seconds += seconds
            with readers.newsroom.call():
                assert readers.has_to_wait() is is_paused

    asyncio.run(main())


def test_after_a_call_that_outlasts_its_pause_readers_have_four_times_as_long(clock):
    async def main():
        readers = Readers(0.001, clock)
        with readers.newsroom.call():
            clock.seconds += 0.5
            await readers.wait()
        readers.newsroom.pause_s = 60
        for seconds, is_paused in ((1.9, False), (0.2, True)):
            clock.seconds += seconds
            with readers.newsroom.call():
                assert readers.has_to_wait() is is_paused

    asyncio.run(main())


def scope_of(path, *headers):
    head = {"type": "http", "method": "GET", "path": path, "query_string": b""}
    return head | {"headers": list(headers)}


def test_a_hot_call_is_answered_when_the_newsrooms_call_before_it_has_ended():
    async def main():
        began, end, order = asyncio.Event(), asyncio.Event(), []

        async def application(_scope, _receive, _send):
            began.set()
            await end.wait()
            order.append("newsroom")

        async def answer(_call):
            order.append("reader")
            return Answer(200)

        async def send(_message):
            pass

        tallies = SimpleNamespace(count=lambda *_: None)
        requests = SimpleNamespace(tallies=tallies)
        routes = {("GET", "/hot"): Route("/hot", answer)}
        turns = Turns(())
        calls = HotCalls(application, routes, requests, turns, is_https=False)
        turns.newsroom_first.pause_s = 60
        key = (b"authorization", b"Bearer nzp_x")
        newsroom = asyncio.create_task(calls(scope_of("/api/alerts", key), None, send))
        await began.wait()
        reader = asyncio.create_task(calls(scope_of("/hot"), None, send))
        for _ in range(10):
            await asyncio.sleep(0)
        assert order == []
        end.set()
        await asyncio.gather(newsroom, reader)
        assert order == ["newsroom", "reader"]

    asyncio.run(main())


def test_a_call_that_lasts_holds_readers_up_for_one_pause_only(clock):
    async def main():
        readers = Readers(0.001, clock)
        with readers.newsroom.call():
            clock.seconds += 1
            await readers.wait()
            with readers.newsroom.call():
                assert not readers.has_to_wait()

    asyncio.run(main())


def test_a_stream_that_goes_on_does_not_prolong_the_pauses_of_later_calls(clock):
    async def main():
        readers = Readers(0.001, clock)
        with readers.newsroom.call():
            await readers.wait()
            readers.newsroom.pause_s = 60
            clock.seconds += 1
            with readers.newsroom.call():
                assert readers.has_to_wait()
            assert not readers.has_to_wait()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "header", "expected"),
    [
        ("/api/alerts/1", (b"authorization", b"Bearer nzp_x"), True),
        ("/desk", (b"cookie", b"a=b; newszop_staff=x"), True),
        ("/api/stories", (b"authorization", b"Bearer a-readers"), False),
        ("/api/stories", (b"cookie", b"newszop_reader=x"), False),
        ("/api/me", (b"authorization", b"Bearer nzp_x"), False),
    ],
)
def test_a_call_is_the_newsrooms_by_its_path_and_a_key_or_a_session(path, header, expected):
    assert is_newsrooms({"type": "http", "path": path, "headers": [header]}) is expected
    assert not is_newsrooms({"type": "lifespan"})
