"""The sweep's beat, against a wall clock that jumps."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery import Celery

from workers.app import app as own
from workers.upkeep import beat_schedule
from workers.upkeep.beat_schedule import Metronome


@pytest.fixture
def beat(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Metronome:
    monkeypatch.setattr(beat_schedule, "EVERY_S", 0.05)
    app = Celery("beat", broker=redis_url, set_as_current=False)
    app.conf.beat_schedule = own.conf.beat_schedule
    return Metronome(app)


def sent(url: str) -> int:
    return int(redis.Redis.from_url(url).llen("urgent"))


def test_the_sweep_is_sent_at_once_and_again_after_its_time(
    beat: Metronome, redis_url: str
) -> None:
    wait: Any = beat.tick()
    assert sent(redis_url) == 1
    assert 0 < wait <= 0.05
    assert 0 < beat.tick() <= 0.05
    assert sent(redis_url) == 1
    time.sleep(wait)
    beat.tick()
    assert sent(redis_url) == 2


def test_a_clock_that_is_set_back_stops_no_sweep(beat: Metronome, redis_url: str) -> None:
    for entry in beat.schedule.values():
        entry.last_run_at = datetime.now(UTC) + timedelta(hours=1)
    beat.tick()
    assert sent(redis_url) == 1


def test_the_workers_beat_is_this_one() -> None:
    assert own.conf.beat_scheduler == f"{Metronome.__module__}:{Metronome.__name__}"


def test_no_difference_of_two_machines_clocks_in_seconds_drops_a_sweep() -> None:
    assert own.conf.beat_schedule["sweep"]["options"]["expires"] >= 10
