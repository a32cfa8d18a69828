"""The pace of each provider's project, held by all workers together.

One token bucket a provider in Redis; a worker takes hundreds of tokens at a time, so that a push
costs nothing for it. It begins from almost nothing and rises (the ramp that FCM asks for), and a
refusal of the project (429) pauses everybody, then halves the rate, which recovers by the minute.
While Redis is away each worker goes on with a bucket of its own, of a fair share.
"""

import secrets
import time
from collections.abc import Iterable
from importlib.resources import files
from typing import Protocol, cast

import redis

from workers.pacing.quick_redis import impatient
from workers.pacing.token_bucket import BURST_S, FLOOR, IDLE_S, RECOVERY_S, Bucket, Pace
from workers.provider import Provider

CHUNK = 500
"""Tokens taken at a time, if the rate is high: 50 ms of FCM's full rate."""
CHUNK_S = 0.05
STOCK_S = 1.0
"""After so long, tokens that were not used are void: others may have gone without."""
REDIS_TIMEOUT_S = 0.02
AWAY_S = 1.0
"""How long Redis is left alone after it failed."""
LONGEST_WAIT_S = 1.0
USUAL_WORKERS = 2
"""How many share a rate, before Redis could say."""


class Meter(Protocol):
    """What measures one provider's pushes."""

    def take(self, wanted: int, now: float) -> int:
        """Return how many may leave now."""
        ...

    def wait(self, now: float) -> float:
        """Return the seconds until more may."""
        ...

    def slow(self, seconds: float, now: float) -> None:
        """Pause, and go on more slowly."""
        ...

    def ease(self, refused: float, now: float) -> None:
        """Go on more slowly by the share that was refused."""
        ...


class Rates:
    """Every provider's pace. A provider without a limit costs one look into a dict."""

    def __init__(self, client: redis.Redis, providers: Iterable[Provider]) -> None:
        quick = impatient(client, REDIS_TIMEOUT_S)
        worker = secrets.token_hex(8)
        self._meters: dict[str, Meter] = {
            each.name: SharedMeter(
                quick, each.name, worker, Pace(each.per_minute / 60, each.ramp_seconds)
            )
            for each in providers
            if each.per_minute is not None
        }

    def take(self, name: str, wanted: int, now: float) -> int:
        """Return how many of the wanted pushes may leave now; `now` is monotonic."""
        meter = self._meters.get(name)
        return wanted if meter is None else meter.take(wanted, now)

    def wait(self, name: str) -> float:
        """Return the seconds until `take` may give more."""
        meter = self._meters.get(name)
        return 0.0 if meter is None else meter.wait(time.monotonic())

    def slow(self, name: str, seconds: float) -> None:
        """Pause for `seconds`, as the provider asked of the whole project, then go more slowly."""
        now = time.monotonic()
        meter = self._meters.setdefault(name, Pause())
        meter.slow(seconds, now)

    def ease(self, name: str, refused: float) -> None:
        """Lower the rate by the share of pushes that were refused for the project's sake."""
        meter = self._meters.get(name)
        if meter is not None:
            meter.ease(refused, time.monotonic())


class Pause:
    """A provider that has no known limit, and has once asked for a pause."""

    def __init__(self) -> None:
        self._until = 0.0

    def take(self, wanted: int, now: float) -> int:
        """Return all or nothing."""
        return wanted if now >= self._until else 0

    def wait(self, now: float) -> float:
        """Return what is left of the pause."""
        return max(self._until - now, 0.0)

    def slow(self, seconds: float, now: float) -> None:
        """Pause."""
        self._until = max(self._until, now + seconds)

    def ease(self, refused: float, now: float) -> None:
        """Do nothing: there is no rate to lower."""


class SharedMeter:
    """One provider's bucket in Redis, this worker's stock from it, and what it does without."""

    def __init__(self, client: redis.Redis, name: str, worker: str, pace: Pace) -> None:
        self._script = client.register_script(
            files("workers.pacing").joinpath("rate.lua").read_text("utf-8")
        )
        self._keys = [f"newszop:rate:{name}", f"newszop:rate:{name}:workers"]
        self._worker = worker
        self._pace = pace
        self._chunk = max(1, min(CHUNK, int(pace.per_second * CHUNK_S)))
        self._stock = 0
        self._stocked_at = 0.0
        self._look_again_at = 0.0
        self._away_until = 0.0
        self._workers = USUAL_WORKERS
        self._local = Bucket()

    def take(self, wanted: int, now: float) -> int:
        """Return how many may leave now: from the stock, which is filled when it runs short."""
        if now - self._stocked_at > STOCK_S:
            self._stock = 0
        if self._stock < wanted and now >= self._look_again_at:
            self._stock += self._fetch(max(wanted, self._chunk) - self._stock, now)
            self._stocked_at = now
        granted = max(min(self._stock, wanted), 0)
        self._stock -= granted
        return granted

    def wait(self, now: float) -> float:
        """Return the seconds until more may leave."""
        return 0.0 if self._stock > 0 else max(self._look_again_at - now, 0.0)

    def slow(self, seconds: float, now: float) -> None:
        """Slow every worker down, or at least this one."""
        self._stock = 0
        self._look_again_at = now
        if self._ask("slow", seconds, now) is None:
            self._local.slow(seconds, now)

    def ease(self, refused: float, now: float) -> None:
        """Lower every worker's rate, or at least this one's."""
        if self._ask("ease", refused, now) is None:
            self._local.ease(refused)

    def _fetch(self, amount: int, now: float) -> int:
        shared = self._ask("take", amount, now)
        if shared is None:
            own = Pace(self._pace.per_second / self._workers, self._pace.ramp_s)
            granted = self._local.take(own, amount, now)
            wait = self._local.wait(own, now)
        else:
            granted, wait = shared
        self._look_again_at = now if granted else now + min(wait, LONGEST_WAIT_S)
        return granted

    def _ask(self, what: str, amount: float, now: float) -> tuple[int, float] | None:
        """Run the script: how many are granted and the wait; None while Redis is away."""
        if now < self._away_until:
            return None
        pace = (self._pace.per_second, self._pace.ramp_s, IDLE_S, FLOOR, BURST_S, RECOVERY_S)
        try:
            found = self._script(self._keys, [what, amount, self._worker, *pace])
        except redis.RedisError:
            self._away_until = now + AWAY_S
            return None
        granted, wait_ms, share, ramped, workers = cast("list[int]", found)
        self._workers = max(workers, 1)
        self._follow(share / 1000, ramped / 1000, now)
        return granted, wait_ms / 1000

    def _follow(self, share: float, ramped: float, now: float) -> None:
        """Keep the bucket of our own where the shared one is, for when Redis goes away."""
        self._local.at = now
        self._local.share = share
        self._local.ramp_from = now - ramped * self._pace.ramp_s
        self._local.tokens = 0.0
