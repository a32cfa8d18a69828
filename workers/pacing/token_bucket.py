"""A token bucket, pure: how many pushes may leave between two moments.

`token_bucket.lua` follows the same rules for the bucket that all workers share in Redis; a test
compares the two.
"""

from dataclasses import dataclass

IDLE_S = 60.0
"""After this long without a push the ramp starts again."""
FLOOR = 0.02
"""The least share of the full rate: the ramp starts there, and no refusal lowers it further."""
BURST_S = 0.5
"""The bucket holds the tokens of this long at the present rate."""
RECOVERY_S = 60.0
"""How long a share of the rate takes to grow from 0 to 1 again."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Pushes a second, and the seconds in which the rate rises to that."""

    per_second: float
    ramp_s: float


@dataclass(slots=True)
class TokenBucket:
    """Tokens, and what the rate is at; all times are seconds of one monotonic clock."""

    tokens: float = 0.0
    filled_at: float = -1.0
    ramp_from: float = 0.0
    share: float = 1.0
    paused_until: float = 0.0

    def take(self, limit: RateLimit, count: int, now: float) -> int:
        """Return how many of `count` pushes may leave now."""
        self._fill(limit, now)
        grant = 0 if now < self.paused_until else max(min(count, int(self.tokens)), 0)
        self.tokens -= grant
        return grant

    def wait(self, limit: RateLimit, now: float) -> float:
        """Return the seconds until one may leave."""
        if now < self.paused_until:
            return self.paused_until - now
        return max(1 - self.tokens, 0.0) / self._rate(limit, now)

    def pause(self, seconds: float, now: float) -> None:
        """Pause, then go on at half the rate; a second call during the pause only lengthens it."""
        if now >= self.paused_until:
            self.share = max(self.share / 2, FLOOR)
        self.paused_until = max(self.paused_until, now + seconds)
        self.tokens = 0.0

    def lower(self, refused_share: float) -> None:
        """Lower the rate by the share of pushes that were refused, without a pause."""
        self.share = max(self.share * (1 - refused_share), FLOOR)

    def _rate(self, limit: RateLimit, now: float) -> float:
        ramp = 1.0 if limit.ramp_s <= 0 else (now - self.ramp_from) / limit.ramp_s
        return limit.per_second * max(min(ramp, 1.0) * self.share, FLOOR)

    def _fill(self, limit: RateLimit, now: float) -> None:
        if self.filled_at < 0 or now - self.filled_at > IDLE_S:
            self.ramp_from = now
            rate = self._rate(limit, now)
            self.tokens = max(rate * BURST_S, 1.0)
            self.share = 1.0 if self.filled_at < 0 else self.share
        else:
            interval = max(now - max(self.filled_at, self.paused_until), 0.0)
            self.share = min(self.share + max(interval, 0.0) / RECOVERY_S, 1.0)
            rate = self._rate(limit, now)
            self.tokens = min(self.tokens + interval * rate, max(rate * BURST_S, 1.0))
        self.filled_at = max(now, self.filled_at)
