"""Names of time zones and local times, by the pinned data alone."""

import zoneinfo
from datetime import UTC, datetime, time
from importlib.resources import files

import pytest

from service.domain import time_zone
from service.domain.time_zone import canonical_name, canonical_names, load_zone, local_time

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Asia/Saigon", "Asia/Ho_Chi_Minh"),
        ("Asia/Katmandu", "Asia/Kathmandu"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("US/Eastern", "America/New_York"),
        ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Etc/UTC", "UTC"),
        ("Zulu", "UTC"),
        ("UTC", "UTC"),
        ("Europe/Stockholm", "Europe/Stockholm"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ],
)
def test_an_older_name_becomes_the_present_one_and_a_place_keeps_its_own(name, canonical):
    assert canonical_name(name) == canonical


@pytest.mark.parametrize(
    "name",
    ["Mars/Base", "IST", "UTC+3", "asia/kolkata", "localtime", "Factory", "", "../UTC", "\0"],
)
def test_a_name_that_is_not_in_the_data_is_no_zone(name):
    assert canonical_name(name) is None
    assert load_zone(name) is None


def test_canonical_names_stay_as_they_are_and_can_be_loaded():
    assert len(canonical_names()) > 350
    for name in canonical_names():
        assert canonical_name(name) == name
        assert load_zone(name) is not None


def test_an_older_name_that_is_stored_has_the_same_clock():
    assert local_time("Asia/Calcutta", AT) == local_time("Asia/Kolkata", AT) == time(17, 30)


def test_a_zone_that_nobody_knows_has_utc():
    assert local_time("Mars/Base", AT) == time(12, 0)


def test_the_systems_own_data_is_not_asked(tmp_path):
    foreign = tmp_path / "Europe" / "Kiev"
    foreign.parent.mkdir()
    foreign.write_bytes((files("tzdata") / "zoneinfo" / "UTC").read_bytes())
    time_zone._load.cache_clear()
    zoneinfo.reset_tzpath(to=[tmp_path])
    try:
        assert local_time("Europe/Kiev", AT) == time(15, 0)
    finally:
        zoneinfo.reset_tzpath()
