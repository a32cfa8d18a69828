"""The rate at which each provider's project may be used, kept by all workers together.

Each provider with a limit has one token bucket in Redis. A worker takes hundreds of tokens at a
time, so that a push costs next to nothing. The rate starts low and rises (the ramp that FCM asks
for). A refusal of the whole project (429) pauses every worker and then halves the rate, which
recovers within a minute. While Redis is away each worker uses a bucket of its own, with its fair
share of the rate.
"""

import secrets
import time
from collections.abc import Iterable
from importlib.resources import files
from typing import Protocol, cast

import redis

from service.broker.redis_client import with_short_timeouts
from workers.pacing.token_bucket import BURST_S, FLOOR, IDLE_S, RECOVERY_S, RateLimit, TokenBucket
from workers.provider import Provider

CHUNK = 500
"""Tokens taken at a time, if the rate is high: 50 ms of FCM's full rate."""
CHUNK_S = 0.05
STOCK_S = 1.0
"""Tokens that were not used by then are void: another worker may need them."""
REDIS_TIMEOUT_S = 0.02
AWAY_S = 1.0
"""How long Redis is not asked again after it failed."""
LONGEST_WAIT_S = 1.0
DEFAULT_WORKERS = 2
"""How many workers share a rate, until Redis has said it."""


class ProviderRate(Protocol):
    """The rate of one provider."""

    def take(self, count: int, now: float) -> int:
        """Return how many of `count` pushes may leave now."""
        ...

    def wait(self, now: float) -> float:
        """Return the seconds until more may."""
        ...

    def pause(self, seconds: float, now: float) -> None:
        """Pause, then go on at half the rate."""
        ...

    def lower(self, refused_share: float, now: float) -> None:
        """Lower the rate by the share of pushes that were refused."""
        ...


class Rates:
    """Every provider's rate. A provider without a limit costs one look-up in a dict."""

    def __init__(self, client: redis.Redis, providers: Iterable[Provider]) -> None:
        self._client = with_short_timeouts(client, REDIS_TIMEOUT_S)
        self._worker = secrets.token_hex(8)
        self._by_provider: dict[str, ProviderRate] = {}
        for provider in providers:
            self.add(provider)

    def add(self, provider: Provider) -> None:
        """Take a provider in, or its new limit; without one it keeps a pause that it asked for."""
        name = provider.name
        if provider.per_minute is not None:
            limit = RateLimit(provider.per_minute / 60, provider.ramp_seconds)
            self._by_provider[name] = SharedRate(self._client, name, self._worker, limit)

    def take(self, name: str, count: int, now: float) -> int:
        """Return how many of `count` pushes may leave now; `now` is monotonic."""
        rate = self._by_provider.get(name)
        return count if rate is None else rate.take(count, now)

    def wait(self, name: str) -> float:
        """Return the seconds until `take` may give more."""
        rate = self._by_provider.get(name)
        return 0.0 if rate is None else rate.wait(time.monotonic())

    def pause(self, name: str, seconds: float) -> None:
        """Pause for `seconds`, as the provider asked of the whole project; then halve the rate."""
        now = time.monotonic()
        rate = self._by_provider.setdefault(name, UnlimitedRate())
        rate.pause(seconds, now)

    def lower(self, name: str, refused_share: float) -> None:
        """Lower the rate by the share of pushes that were refused by the project's quota."""
        rate = self._by_provider.get(name)
        if rate is not None:
            rate.lower(refused_share, time.monotonic())


class UnlimitedRate:
    """The rate of a provider without a known limit that has asked for a pause."""

    def __init__(self) -> None:
        self._until = 0.0

    def take(self, count: int, now: float) -> int:
        """Return all or none of them."""
        return count if now >= self._until else 0

    def wait(self, now: float) -> float:
        """Return what is left of the pause."""
        return max(self._until - now, 0.0)

    def pause(self, seconds: float, now: float) -> None:
        """Pause; there is no rate to halve."""
        self._until = max(self._until, now + seconds)

    def lower(self, refused_share: float, now: float) -> None:
        """Do nothing: there is no rate to lower."""


class SharedRate:
    """One provider's bucket in Redis, this worker's stock of tokens, and a bucket of its own."""

    def __init__(self, client: redis.Redis, name: str, worker: str, limit: RateLimit) -> None:
        self._script = client.register_script(
            files("workers.pacing").joinpath("token_bucket.lua").read_text("utf-8")
        )
        self._keys = [f"newszop:rate:{name}", f"newszop:rate:{name}:workers"]
        self._worker = worker
        self._limit = limit
        self._chunk = max(1, min(CHUNK, int(limit.per_second * CHUNK_S)))
        self._stock = 0
        self._stocked_at = 0.0
        self._look_again_at = 0.0
        self._away_until = 0.0
        self._workers = DEFAULT_WORKERS
        self._local = TokenBucket()

    def take(self, count: int, now: float) -> int:
        """Return how many may leave now: from the stock, filled up when too small."""
        if now - self._stocked_at > STOCK_S:
            self._stock = 0
        if self._stock < count and now >= self._look_again_at:
            self._stock += self._fetch(max(count, self._chunk) - self._stock, now)
            self._stocked_at = now
        grant = max(min(self._stock, count), 0)
        self._stock -= grant
        return grant

    def wait(self, now: float) -> float:
        """Return the seconds until more may leave."""
        return 0.0 if self._stock > 0 else max(self._look_again_at - now, 0.0)

    def pause(self, seconds: float, now: float) -> None:
        """Pause every worker; this one alone while Redis is away."""
        self._stock = 0
        self._look_again_at = now
        if self._run("pause", seconds, now) is None:
            self._local.pause(seconds, now)

    def lower(self, refused_share: float, now: float) -> None:
        """Lower every worker's rate; this one's alone while Redis is away."""
        if self._run("lower", refused_share, now) is None:
            self._local.lower(refused_share)

    def _fetch(self, amount: int, now: float) -> int:
        shared = self._run("take", amount, now)
        if shared is None:
            fair_share = RateLimit(self._limit.per_second / self._workers, self._limit.ramp_s)
            grant = self._local.take(fair_share, amount, now)
            wait = self._local.wait(fair_share, now)
        else:
            grant, wait = shared
        self._look_again_at = now if grant else now + min(wait, LONGEST_WAIT_S)
        return grant

    def _run(self, command: str, amount: float, now: float) -> tuple[int, float] | None:
        """Run the script: returns how many are granted and the wait; None while Redis is away."""
        if now < self._away_until:
            return None
        limits = (self._limit.per_second, self._limit.ramp_s, IDLE_S, FLOOR, BURST_S, RECOVERY_S)
        try:
            reply = self._script(self._keys, [command, amount, self._worker, *limits])
        except redis.RedisError:
            self._away_until = now + AWAY_S
            return None
        grant, wait_ms, share, ramp, workers = cast("list[int]", reply)
        self._workers = max(workers, 1)
        self._follow_shared(share / 1000, ramp / 1000, now)
        return grant, wait_ms / 1000

    def _follow_shared(self, share: float, ramp: float, now: float) -> None:
        """Bring our own bucket to where the shared one is, in case Redis goes away."""
        self._local.filled_at = now
        self._local.share = share
        self._local.ramp_from = now - ramp * self._limit.ramp_s
        self._local.tokens = 0.0
