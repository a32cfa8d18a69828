"""The rate of a provider's project: shared, rising, lowered, and kept without Redis."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.pacing import shared_rate
from workers.pacing.shared_rate import Rates
from workers.pacing.token_bucket import BURST_S, FLOOR, IDLE_S, RECOVERY_S, RateLimit, TokenBucket


@dataclass
class Named:
    """As much of a provider as a rate needs."""

    name: str
    per_minute: int | None
    ramp_seconds: int = 0


FAST = Named("fcm", 600_000)
FREE = Named("apns", None)


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def no_redis() -> redis.Redis:
    return redis.Redis.from_url("redis://127.0.0.1:9/0")


@pytest.fixture
def deaf_redis() -> Iterator[redis.Redis]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield redis.Redis.from_url(f"redis://127.0.0.1:{listener.getsockname()[1]}/0")


def rate_over(seconds: float, name: str, *workers: Rates, at_once: int = 400) -> float:
    """Return how many a second all of them took, and what was saved up is not counted."""
    begun = time.monotonic()
    taken = 0
    while (now := time.monotonic()) < begun + seconds:
        taken += sum(each.take(name, at_once, now) for each in workers)
        time.sleep(0.002)
    return taken / (now - begun + BURST_S)


def test_a_provider_without_a_limit_gets_what_it_wants(no_redis: redis.Redis) -> None:
    rates = Rates(no_redis, [FREE, FAST])  # type: ignore[list-item]

    assert rates.take("apns", 1_000_000, time.monotonic()) == 1_000_000
    assert rates.wait("apns") == 0


def test_a_provider_without_a_limit_pauses_when_it_says_so(no_redis: redis.Redis) -> None:
    rates = Rates(no_redis, [FREE])  # type: ignore[list-item]

    rates.pause("apns", 5)

    now = time.monotonic()
    assert rates.take("apns", 10, now) == 0
    assert 4 < rates.wait("apns") <= 5
    assert rates.take("apns", 10, now + 6) == 10


def test_one_worker_keeps_to_the_rate(client: redis.Redis) -> None:
    rates = Rates(client, [Named("fcm", 60_000)])  # type: ignore[list-item]

    assert 600 <= rate_over(1.0, "fcm", rates) <= 1050


def test_workers_share_one_rate(client: redis.Redis) -> None:
    workers = [Rates(client, [Named("fcm", 60_000)]) for _ in range(5)]  # type: ignore[list-item]

    assert 600 <= rate_over(1.0, "fcm", *workers, at_once=100) <= 1100


def test_tokens_come_in_chunks_so_that_redis_is_seldom_asked(client: redis.Redis) -> None:
    rates = Rates(client, [FAST])  # type: ignore[list-item]
    before = client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)

    taken = sum(rates.take("fcm", 10, time.monotonic()) for _ in range(200))

    after = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert taken == 2000
    assert after - before <= 8


def test_when_nothing_is_left_the_wait_is_told(client: redis.Redis) -> None:
    rates = Rates(client, [Named("fcm", 600)])  # type: ignore[list-item]
    while rates.take("fcm", 10, time.monotonic()):
        pass

    assert 0 < rates.wait("fcm") <= 0.11
    time.sleep(rates.wait("fcm") + 0.02)
    assert rates.take("fcm", 1, time.monotonic()) == 1


def test_the_rate_rises_from_almost_nothing(client: redis.Redis) -> None:
    rates = Rates(client, [Named("fcm", 600_000, ramp_seconds=2)])  # type: ignore[list-item]

    rising = [rate_over(0.5, "fcm", rates) for _ in range(4)]

    assert rising[0] < rising[1]
    assert rising[0] < rising[-1] / 2


def test_the_first_push_need_not_wait_for_the_ramp(client: redis.Redis) -> None:
    rates = Rates(client, [Named("fcm", 600_000, ramp_seconds=60)])  # type: ignore[list-item]

    assert rates.take("fcm", 50, time.monotonic()) == 50


def test_a_refusal_of_the_project_pauses_every_worker_and_then_halves_the_rate(
    client: redis.Redis,
) -> None:
    workers = [Rates(client, [Named("fcm", 60_000)]) for _ in range(2)]  # type: ignore[list-item]
    for each in workers:
        each.take("fcm", 1, time.monotonic())

    workers[0].pause("fcm", 0.5)
    workers[0].pause("fcm", 0.5)  # the same trouble, told by another answer

    time.sleep(0.1)
    stock = workers[1].take("fcm", 500, time.monotonic())
    assert stock <= 50  # what this worker held already
    assert workers[0].take("fcm", 500, time.monotonic()) == 0
    assert 0.2 < workers[0].wait("fcm") <= 0.5
    time.sleep(0.5)
    assert 200 <= rate_over(1.0, "fcm", workers[0]) <= 600


def test_without_redis_a_worker_takes_its_fair_share(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = [Rates(client, [Named("fcm", 60_000)]) for _ in range(4)]  # type: ignore[list-item]
    for each in (*workers, *workers):
        each.take("fcm", 50, time.monotonic())
    rate = workers[0]._by_provider["fcm"]
    monkeypatch.setattr(rate, "_away_until", time.monotonic() + 60)

    assert 80 <= rate_over(1.0, "fcm", workers[0]) <= 300


def test_without_redis_from_the_start_there_is_still_a_rate(no_redis: redis.Redis) -> None:
    rates = Rates(no_redis, [Named("fcm", 60_000)])  # type: ignore[list-item]

    assert 250 <= rate_over(1.0, "fcm", rates) <= 550
    rates.pause("fcm", 5)
    assert rates.take("fcm", 10, time.monotonic()) == 0


@pytest.mark.parametrize("kind", ["no_redis", "deaf_redis"])
def test_a_redis_in_trouble_does_not_hold_the_worker_up(
    request: pytest.FixtureRequest, kind: str
) -> None:
    def longest_take() -> float:
        rates = Rates(request.getfixturevalue(kind), [FAST])  # type: ignore[list-item]
        longest = 0.0
        for _ in range(100):
            begun = time.monotonic()
            rates.take("fcm", 500, begun)
            longest = max(longest, time.monotonic() - begun)
        return longest

    # the best of some: a busy machine may take the processor away for longer
    assert any(longest_take() < 0.06 for _ in range(5))


def test_a_redis_that_comes_back_is_used_again(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_rate, "AWAY_S", 0.1)
    rates = Rates(client, [FAST])  # type: ignore[list-item]
    rates.take("fcm", 1, time.monotonic())
    rate = rates._by_provider["fcm"]
    monkeypatch.setattr(rate, "_away_until", time.monotonic() + 0.1)
    rate_over(0.2, "fcm", rates)
    client.delete("newszop:rate:fcm:workers")

    rate_over(0.1, "fcm", rates)

    assert client.exists("newszop:rate:fcm:workers")


def test_the_bucket_in_redis_and_the_one_in_python_follow_the_same_rules(
    client: redis.Redis,
) -> None:
    """The script runs on the clock of the test, beside the bucket, through the same steps."""
    body = files("workers.pacing").joinpath("token_bucket.lua").read_text("utf-8")
    script = client.register_script(body.replace("redis.call('TIME')", "{ARGV[10], '0'}"))

    step = st.tuples(
        st.sampled_from(["take", "take", "take", "pause"]),
        st.integers(0, 800),
        st.sampled_from([0, 1, 2, 7, 59, 61, 300]),
    )

    @settings(deadline=None)
    @given(st.lists(step, max_size=25), st.sampled_from([0.0, 60.0]))
    def same(steps: list[tuple[str, int, int]], ramp_s: float) -> None:
        client.flushdb()
        limit, bucket, now = RateLimit(100.0, ramp_s), TokenBucket(), 1_000
        for command, amount, elapsed_s in steps:
            now += elapsed_s
            rules = (limit.per_second, ramp_s, IDLE_S, FLOOR, BURST_S, RECOVERY_S)
            granted, wait_ms, *_ = script(["b", "w"], [command, amount % 90, "me", *rules, now])
            if command == "pause":
                bucket.take(limit, 0, now)
                bucket.pause(amount % 90, now)
                assert granted == 0
            else:
                assert abs(granted - bucket.take(limit, amount % 90, now)) <= 1
            assert wait_ms / 1000 == pytest.approx(bucket.wait(limit, now), abs=0.6, rel=0.02)

    same()
