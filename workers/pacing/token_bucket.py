"""The arithmetic of a provider's pace, pure: how many pushes may leave between two moments.

The same rules stand once more in `rate.lua`, where all workers share one bucket; a test holds the
two together.
"""

from dataclasses import dataclass

IDLE_S = 60.0
"""Without a push for so long, the ramp begins anew."""
FLOOR = 0.02
"""The least share of the full rate: with it the ramp begins, and no slow-down goes below it."""
BURST_S = 0.5
"""How much of the rate may be saved up."""
RECOVERY_S = 60.0
"""How long a rate that was cut to nothing would take to be whole again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a provider allows."""

    per_second: float
    ramp_s: float


@dataclass(slots=True)
class Bucket:
    """Tokens by the clock of whoever keeps it, in seconds."""

    tokens: float = 0.0
    at: float = -1.0
    ramp_from: float = 0.0
    share: float = 1.0
    paused_until: float = 0.0

    def take(self, pace: Pace, wanted: int, now: float) -> int:
        """Return how many of the wanted may leave now."""
        self._fill(pace, now)
        granted = 0 if now < self.paused_until else max(min(wanted, int(self.tokens)), 0)
        self.tokens -= granted
        return granted

    def wait(self, pace: Pace, now: float) -> float:
        """Return the seconds until one may leave."""
        if now < self.paused_until:
            return self.paused_until - now
        return max(1 - self.tokens, 0.0) / self._rate(pace, now)

    def slow(self, seconds: float, now: float) -> None:
        """Pause, then go on at half the rate; said again during the pause it only lengthens it."""
        if now >= self.paused_until:
            self.share = max(self.share / 2, FLOOR)
        self.paused_until = max(self.paused_until, now + seconds)
        self.tokens = 0.0

    def ease(self, refused: float) -> None:
        """Go on at a rate lower by the share of pushes that were refused, without a pause."""
        self.share = max(self.share * (1 - refused), FLOOR)

    def _rate(self, pace: Pace, now: float) -> float:
        ramped = 1.0 if pace.ramp_s <= 0 else (now - self.ramp_from) / pace.ramp_s
        return pace.per_second * max(min(ramped, 1.0) * self.share, FLOOR)

    def _fill(self, pace: Pace, now: float) -> None:
        if self.at < 0 or now - self.at > IDLE_S:
            self.ramp_from = now
            rate = self._rate(pace, now)
            self.tokens = max(rate * BURST_S, 1.0)
            self.share = 1.0 if self.at < 0 else self.share
        else:
            passed = max(now - max(self.at, self.paused_until), 0.0)
            self.share = min(self.share + max(passed, 0.0) / RECOVERY_S, 1.0)
            rate = self._rate(pace, now)
            self.tokens = min(self.tokens + passed * rate, max(rate * BURST_S, 1.0))
        self.at = max(now, self.at)
