"""How often a caller may do something expensive: counted in Redis, in memory without Redis."""

import time
from typing import Literal

import redis
import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.broker.redis_client import open_redis

log = structlog.get_logger()

REDIS_TIMEOUT_S = 1.0


class Throttle:
    """Counts by the minute. Without Redis each process counts alone, which is a looser limit."""

    def __init__(self, redis_url: str) -> None:
        client = open_redis(redis_url, REDIS_TIMEOUT_S, retry=Retry(NoBackoff(), 0))
        self._shared = FixedWindowRateLimiter(
            RedisStorage("redis://", connection_pool=client.connection_pool, key_prefix="throttle")
        )
        self._local = FixedWindowRateLimiter(MemoryStorage())

    def hit(self, action: str, caller: str, per_minute: int) -> int | None:
        """Count one attempt; return the seconds to wait when there were too many, else None."""
        return self._ask("hit", action, caller, per_minute)

    def wait(self, action: str, caller: str, per_minute: int) -> int | None:
        """Return the seconds to wait when there were too many, else None; counts nothing."""
        return self._ask("test", action, caller, per_minute)

    def _ask(
        self, method: Literal["hit", "test"], action: str, caller: str, per_minute: int
    ) -> int | None:
        limit = RateLimitItemPerMinute(per_minute)
        try:
            return _seconds_left(self._shared, method, limit, action, caller)
        except redis.RedisError as error:
            log.warning("throttle counts in memory", error=type(error).__name__)
            return _seconds_left(self._local, method, limit, action, caller)


def _seconds_left(
    limiter: FixedWindowRateLimiter,
    method: Literal["hit", "test"],
    limit: RateLimitItemPerMinute,
    action: str,
    caller: str,
) -> int | None:
    passes = limiter.hit if method == "hit" else limiter.test
    if passes(limit, action, caller):
        return None
    reset = limiter.get_window_stats(limit, action, caller).reset_time
    return max(1, round(reset - time.time()))
