from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats.moments import exact_moment, likely_moment, moment_of_seconds

TEN = datetime(2026, 11, 28, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-28T10:00:00Z",
        "2026-11-28T11:00:00+01:00",
        "2026-11-28T10:00:00.000000000Z",
        "2026-11-28 10:00:00 +0000",
        "2026-11-28T10:00Z",
        "Sat, 28 Nov 2026 10:00:00 GMT",
        "Sat, 28 Nov 2026 11:00:00 +0100",
        "28 Nov 26 10:00:00 UT",
        "Sat, 28 November 2026 05:00:00 EST",
        "Saturday, 28 Nov 2026 12:00:00 EET",
        "Samstag, 28 Nov 2026 11:00:00 +0100",
        "Sat, 28 Nov 2026 10:00 GMT",
        "2026-11-28 10:00:00",
        "20261128T100000Z",
        "Sat Nov 28 10:00:00 2026",
        "  Sat,  28 Nov 2026\n10:00:00 GMT ",
    ],
)
def test_a_feeds_dates_are_read_as_they_are_most_likely_meant(text):
    assert likely_moment(text) == TEN


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "0000-00-00 00:00:00", "Tue, 31 Feb 2026 10:00:00 GMT", "2026-13-01",
     "9" * 99, "0001-01-01T00:00:00Z", "2026-11-28T25:00:00Z"],
)  # fmt: skip
def test_what_is_no_date_is_none(text):
    assert likely_moment(text) is None
    assert exact_moment(text) is None


@pytest.mark.parametrize(
    "text", ["2026-11-28", "2026-11-28T10:00:00", "Sat, 28 Nov 2026 10:00:00 GMT", "10:00Z"]
)
def test_an_embargo_is_never_guessed(text):
    assert exact_moment(text) is None


def test_the_end_of_a_day_is_the_start_of_the_next():
    assert exact_moment("2026-11-28T24:00:00Z") == datetime(2026, 11, 29, tzinfo=UTC)
    assert exact_moment("2026-11-28T24:30:00Z") is None


def test_seconds_and_milliseconds_are_told_apart_by_their_size():
    assert moment_of_seconds(TEN.timestamp()) == TEN
    assert moment_of_seconds(TEN.timestamp() * 1000) == TEN
    assert moment_of_seconds(float("inf")) is None


@given(st.text(max_size=70))
def test_no_text_breaks_the_reading_of_dates(text):
    for moment in (likely_moment(text), exact_moment(text)):
        assert moment is None or moment.tzinfo is UTC


@given(st.integers(0, 7_000_000_000_000_000), st.integers(-14 * 60, 14 * 60))
def test_every_moment_that_is_written_as_rfc_3339_is_read_back(microseconds, offset):
    moment = datetime(1970, 1, 2, tzinfo=UTC) + timedelta(microseconds=microseconds)
    written = moment.astimezone(timezone(timedelta(minutes=offset))).isoformat()
    assert exact_moment(written) == moment
