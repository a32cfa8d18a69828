"""A limiter that is fair: of the callers that wait each is served in its turn."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import Unavailable
from service.http.limits.fair_limiter import FairLimiter


class Calls:
    """Calls that wait at a limiter, and in which order they were served."""

    def __init__(self, limiter: FairLimiter) -> None:
        self.limiter = limiter
        self.served: list[str] = []
        self.refused: list[str] = []

    async def begin(self, caller: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._call(caller))
        await asyncio.sleep(0)
        return task

    async def _call(self, caller: str) -> None:
        try:
            await self.limiter.acquire(caller)
        except Unavailable:
            self.refused.append(caller)
        else:
            self.served.append(caller)

    async def end(self, number: int) -> None:
        for _ in range(number):
            self.limiter.release()
            await asyncio.sleep(0)


def test_a_caller_with_many_calls_delays_another_by_one():
    async def main():
        calls = Calls(FairLimiter(1, 100))
        for caller in (*"ssssss", "a", "b", "s", "a"):
            await calls.begin(caller)
        assert calls.served == ["s"]
        await calls.end(5)
        assert calls.served == [*"ssabsa"]
        await calls.end(4)
        assert calls.served == [*"ssabsassss"]
        assert calls.limiter.acquire_now() is False

    asyncio.run(main())


def test_where_too_many_wait_the_caller_that_waits_most_often_is_refused():
    async def main():
        calls = Calls(FairLimiter(1, 4))
        for caller in "sssss":
            await calls.begin(caller)
        await calls.begin("a")
        await asyncio.sleep(0)
        assert calls.refused == ["s"]
        await calls.begin("s")
        await asyncio.sleep(0)
        assert calls.refused == ["s", "s"]
        await calls.begin("a")
        await asyncio.sleep(0)
        assert calls.refused == ["s", "s", "s"]
        await calls.begin("a")
        await asyncio.sleep(0)
        assert calls.refused[3:] == ["a"]
        await calls.end(5)
        assert sorted(calls.served) == [*"aasss"]

    asyncio.run(main())


@pytest.mark.parametrize("was_served", [False, True])
def test_a_call_that_is_given_up_keeps_no_token_and_no_place(was_served):
    async def main():
        limiter = FairLimiter(1, 1)
        calls = Calls(limiter)
        await limiter.acquire("a")
        task = await calls.begin("b")
        if was_served:
            limiter.release()
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not was_served:
            limiter.release()
        assert limiter.acquire_now()
        assert calls.served == []

    asyncio.run(main())


def test_fewer_tokens_take_none_back_and_more_are_served_at_once():
    async def main():
        calls = Calls(FairLimiter(2, 10))
        for caller in "abcd":
            await calls.begin(caller)
        calls.limiter.tokens = 0
        await calls.end(2)
        assert calls.served == [*"ab"]
        calls.limiter.tokens = 2
        await asyncio.sleep(0)
        assert calls.served == [*"abcd"]

    asyncio.run(main())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=60))
def test_whatever_happens_no_more_are_held_and_no_free_token_waits(steps):
    async def main():
        limiter = FairLimiter(2, 5)
        calls, tasks, ended = Calls(limiter), [], 0
        for caller, action in steps:
            if action < 2:
                tasks.append(await calls.begin(caller))
            elif action == 2 and len(calls.served) > ended:
                ended += 1
                limiter.release()
                await asyncio.sleep(0)
            elif tasks:
                tasks.pop(0).cancel()
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting = sum(not task.done() for task in tasks)
            held = len(calls.served) - ended
            assert held <= 2
            assert waiting <= 5
            assert waiting == 0 or held == 2
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)

    asyncio.run(main())
