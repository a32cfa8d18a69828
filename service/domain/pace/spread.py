"""How an alert leaves evenly over the time that its editor chose, so that the site is spared.

Its shards are equal ranges of the id space. Ids are random, so each shard holds an equal part of
the devices. Shard after shard is released, at equal distances.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_SPREAD = timedelta(hours=1)
MOST_STEPS = 720
"""Releases of one alert, as far as its shards need not be smaller: one every 5 s of an hour."""
USABLE_LIFE = 0.9
"""The share of its life in which an alert leaves, so that the last push is not too late."""


@dataclass(frozen=True, slots=True)
class Spread:
    """When each of an alert's shards is released. `duration` is more than nothing."""

    begins_at: datetime
    duration: timedelta
    shards: int

    def release_of(self, n: int) -> datetime:
        """Return when the batches of shard `n` may leave; the first is released at once."""
        return self.begins_at + self.duration * n / self.shards


def count_shards(devices: int, per_shard: int, duration: timedelta) -> int:
    """Return how many shards an alert needs that leaves over a time.

    One for each second, at most `MOST_STEPS`; more where a shard would hold more than `per_shard`
    devices. How many devices there are is a rough guess, which may be 0 where there are hundreds:
    a few shards without a device cost little, and one shard for all would leave at once.
    """
    steps = min(int(duration.total_seconds()), MOST_STEPS)
    return max(steps, -(-devices // per_shard), 1)


def usable_duration(duration: timedelta, life: timedelta) -> timedelta:
    """Return the time over which an alert with this much life leaves: all of it before its end."""
    return max(min(duration, life * USABLE_LIFE), timedelta(0))


def stretch_of_rest(rest_s: float, life_s: float) -> float:
    """Return by how much to stretch the rest of a spread that begins now: 1, or less.

    `rest_s` is what lies between its first and last release. It is compressed only where the alert
    would end before its last release.
    """
    usable_s = max(life_s, 0.0) * USABLE_LIFE
    return 1.0 if rest_s <= usable_s else usable_s / rest_s
