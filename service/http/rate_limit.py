"""How often a caller may do something expensive: counted in Redis, in memory without Redis."""

import time

import redis
import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger()


class Throttle:
    """Counts by the minute. Without Redis each process counts alone, which is a looser limit."""

    def __init__(self, redis_url: str) -> None:
        shared = redis.ConnectionPool.from_url(
            redis_url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        self._shared = FixedWindowRateLimiter(
            RedisStorage(redis_url, connection_pool=shared, key_prefix="throttle")
        )
        self._local = FixedWindowRateLimiter(MemoryStorage())

    def hit(self, action: str, caller: str, per_minute: int) -> int | None:
        """Count one attempt; return the seconds to wait when there were too many, else None."""
        limit = RateLimitItemPerMinute(per_minute)
        try:
            return self._hit(self._shared, limit, action, caller)
        except redis.RedisError as error:
            log.warning("throttle counts in memory", error=type(error).__name__)
            return self._hit(self._local, limit, action, caller)

    @staticmethod
    def _hit(
        limiter: FixedWindowRateLimiter, limit: RateLimitItemPerMinute, action: str, caller: str
    ) -> int | None:
        if limiter.hit(limit, action, caller):
            return None
        reset = limiter.get_window_stats(limit, action, caller).reset_time
        return max(1, round(reset - time.time()))
