"""The pace of an alert that leaves over a time, and what it spares the site."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.alert import Draft
from service.domain.drafts.draft_checks import check_draft
from service.domain.errors import Invalid
from service.domain.pace.open_rate import opens_per_second
from service.domain.pace.spread import (
    LONGEST_SPREAD,
    MOST_STEPS,
    Spread,
    count_shards,
    stretch_of_rest,
    usable_duration,
)
from service.domain.subscription import Urgency

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@given(
    shards=st.integers(1, 200), duration=st.timedeltas(min_value=SECOND, max_value=LONGEST_SPREAD)
)
def test_shards_are_released_at_equal_distances_within_the_time(shards, duration):
    spread = Spread(NOON, duration, shards)
    releases = [spread.release_of(n) for n in range(shards)]
    assert releases[0] == NOON
    assert releases[-1] < NOON + duration
    steps = [later - earlier for earlier, later in pairwise(releases)]
    assert all(abs(step - duration / shards) <= timedelta(microseconds=2) for step in steps)


@pytest.mark.parametrize(
    ("devices", "seconds", "shards"),
    [
        (0, 300, 300),
        (7, 300, 300),
        (100_000, 300, 300),
        (1_000_000, 3600, MOST_STEPS),
        (50_000_000, 300, 5000),
    ],
)
def test_an_alert_has_a_shard_for_each_step_and_none_too_large(devices, seconds, shards):
    assert count_shards(devices, 10_000, timedelta(seconds=seconds)) == shards


def test_an_alert_leaves_before_it_expires():
    assert usable_duration(HOUR, 4 * HOUR) == HOUR
    assert usable_duration(HOUR, HOUR) == timedelta(minutes=54)
    assert usable_duration(HOUR, -HOUR) == timedelta(0)


@given(rest=st.floats(0, 1e6), life=st.floats(-1e6, 1e6))
def test_what_is_left_keeps_its_pace_or_is_compressed_into_the_life_that_is_left(rest, life):
    stretch = stretch_of_rest(rest, life)
    assert 0 <= stretch <= 1
    assert rest * stretch <= max(life, 0) or rest == 0
    if rest <= max(life, 0) * 0.9:
        assert stretch == 1


@pytest.mark.parametrize(
    "draft",
    [
        Draft(spread=timedelta(seconds=-1)),
        Draft(spread=LONGEST_SPREAD + SECOND),
        Draft(spread=HOUR, urgency=Urgency.BREAKING),
        Draft(spread=HOUR, update=True),
        Draft(spread=HOUR, ttl=HOUR),
    ],
)
def test_a_spread_that_cannot_be_is_refused_by_its_name(draft):
    with pytest.raises(Invalid) as refused:
        check_draft(draft, NOON)
    assert refused.value.field == "spread_seconds"


@pytest.mark.parametrize(
    "draft",
    [
        Draft(spread=LONGEST_SPREAD, urgency=Urgency.QUIET),
        Draft(spread=SECOND, update=True, everyone=True),
        Draft(urgency=Urgency.BREAKING),
    ],
)
def test_a_sound_spread_passes(draft):
    assert check_draft(draft, NOON) == draft


def test_opens_a_second_fall_with_the_time_over_which_an_alert_leaves():
    minutes = [timedelta(minutes=n) for n in (0, 1, 5, 60)]
    rates = [round(opens_per_second(1_000_000, 0.05, spread)) for spread in minutes]
    assert rates == [417, 417, 167, 14]
