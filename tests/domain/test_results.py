"""Openings by minute, and what an alert's result is packed into."""

from hypothesis import given
from hypothesis import strategies as st

from service.domain.results.alert_result import (
    AlertResult,
    Departures,
    PartResult,
    add_openings,
    opened_within,
    opening_curve,
    slot_of,
)

MINUTES = st.lists(st.tuples(st.integers(-5, 60 * 24 * 40), st.integers(0, 50)), max_size=40)


def packed(pairs):
    openings = []
    for minute, number in pairs:
        openings = add_openings(openings, minute, number)
    return openings


@given(MINUTES)
def test_no_opening_is_lost_and_their_list_is_short_and_sorted(pairs):
    openings = packed(pairs)
    assert sum(openings[1::2]) == sum(number for _, number in pairs)
    assert openings[::2] == sorted(set(openings[::2]))
    assert len(openings[::2]) <= 111


@given(MINUTES, st.sampled_from([1, 10, 60]))
def test_what_was_opened_within_the_first_hour_is_exact(pairs, minutes):
    openings = packed(pairs)
    by_minute = dict(zip(openings[::2], openings[1::2], strict=True))
    expected = sum(number for minute, number in pairs if minute < minutes)
    assert opened_within(by_minute, minutes) == expected
    assert opening_curve(by_minute, minutes)[-1] == expected


def test_minutes_become_hours_and_days():
    assert [slot_of(n) for n in (-1, 0, 59, 60, 119, 120, 1439, 1440, 2880, 10**6)] == [
        0, 0, 59, 60, 60, 120, 1380, 1440, 2880, 40_320,
    ]  # fmt: skip


def test_a_result_is_read_as_it_was_kept():
    result = AlertResult(
        by_app={"apns": PartResult(10, 9, 8, 7)},
        by_language={"hi": PartResult(1, 1, 0, 0)},
        by_topic={"sport": PartResult(4, 4, 2, 1)},
        departures=Departures(3, 1, 2, 0),
        usual=Departures(1.5, 0.2, 0.1, 0),
        openings={0: 4, 60: 3},
        is_sample=True,
        is_final=True,
    )
    assert AlertResult.from_json(result.to_json()) == result
    assert result.total == PartResult(10, 9, 8, 7)


def test_of_a_result_from_before_readers_could_choose_all_devices_are_known():
    packed = AlertResult(by_app={"apns": PartResult(10, 9, 8, 7, 5)}).to_json()
    assert AlertResult.from_json(packed).total == PartResult(10, 9, 8, 7, 5)
    packed["by_app"]["apns"].pop()
    assert AlertResult.from_json(packed).total == PartResult(10, 9, 8, 7, 10)
