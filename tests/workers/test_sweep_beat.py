"""The sweep comes every second, also when the wall clock jumps."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
from celery import Celery

from workers.beat import app as beat_app
from workers.upkeep import sweep_beat
from workers.upkeep.sweep_beat import MonotonicScheduler


@pytest.fixture
def beat(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> MonotonicScheduler:
    monkeypatch.setattr(sweep_beat, "EVERY_S", 0.5)
    app = Celery("beat", broker=redis_url, set_as_current=False)
    app.conf.beat_schedule = beat_app.conf.beat_schedule
    return MonotonicScheduler(app)


class Clock:
    """Stands still until a test moves it."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def count_sent(url: str) -> int:
    return int(redis.Redis.from_url(url).llen("urgent"))


def test_the_sweep_is_sent_at_once_and_again_after_its_time(
    beat: MonotonicScheduler, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(sweep_beat, "time", clock)
    assert beat.tick() == 0.5
    assert count_sent(redis_url) == 1
    clock.now += 0.375
    assert beat.tick() == 0.125
    assert count_sent(redis_url) == 1
    clock.now += 0.125
    beat.tick()
    assert count_sent(redis_url) == 2


def test_a_clock_that_is_set_back_does_not_stop_the_sweep(
    beat: MonotonicScheduler, redis_url: str
) -> None:
    for entry in beat.schedule.values():
        entry.last_run_at = datetime.now(UTC) + timedelta(hours=1)
    beat.tick()
    assert count_sent(redis_url) == 1


def test_beat_uses_this_scheduler() -> None:
    assert (
        beat_app.conf.beat_scheduler
        == f"{MonotonicScheduler.__module__}:{MonotonicScheduler.__name__}"
    )


def test_no_difference_of_two_machines_clocks_in_seconds_drops_a_sweep() -> None:
    assert beat_app.conf.beat_schedule["sweep"]["options"]["expires"] >= 10
