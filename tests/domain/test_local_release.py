"""When an alert with a local time leaves in which zone."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.alert import Draft, Kind, Words
from service.domain.drafts.draft_checks import check_draft
from service.domain.errors import Invalid
from service.domain.new_alerts import Origin, new_first_alert
from service.domain.pace.local_release import LocalRelease, MissedZones, Release, group_releases
from service.domain.subscription import Urgency
from service.domain.time_zone import canonical_names

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SEVEN = LocalRelease(time_of_day=time(7))
SEVEN_OR_NOW = LocalRelease(time_of_day=time(7), when_missed=MissedZones.NOW)
HOUR = timedelta(hours=1)
ZONES = sorted(canonical_names())


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "release"),
    [
        ("Asia/Tokyo", "2026-03-01T22:00"),
        ("Asia/Kolkata", "2026-03-02T01:30"),
        ("Asia/Kathmandu", "2026-03-02T01:15"),
        ("Europe/Berlin", "2026-03-02T06:00"),
        ("America/Los_Angeles", "2026-03-01T15:00"),
        ("Pacific/Kiritimati", "2026-03-01T17:00"),
    ],
)
def test_every_zone_has_its_own_seven_o_clock_the_odd_ones_to_the_minute(zone, release):
    assert SEVEN.release_in(zone, NOON) == at(release)


def test_where_the_time_has_passed_it_leaves_tomorrow_or_now_as_chosen():
    assert SEVEN.release_in("Europe/Berlin", NOON) == at("2026-03-02T06:00")
    assert SEVEN_OR_NOW.release_in("Europe/Berlin", NOON) == NOON
    assert SEVEN_OR_NOW.release_in("America/Los_Angeles", NOON) == at("2026-03-01T15:00")


def test_a_day_is_that_calendar_day_in_every_zone():
    monday = LocalRelease(time_of_day=time(7), day=date(2026, 3, 2))
    assert monday.first_moment_of_day(monday.day) == at("2026-03-01T17:00")
    start = monday.first_moment_of_day(monday.day)
    releases = monday.releases(ZONES, start)
    assert min(releases.values()) == start
    assert max(releases.values()) == monday.last_release(start) == at("2026-03-02T19:00")
    assert releases["Asia/Tokyo"] == at("2026-03-01T22:00")


def test_a_time_that_is_skipped_is_later_and_of_one_that_comes_twice_the_first_counts():
    half_past_two = LocalRelease(time_of_day=time(2, 30))
    spring, autumn = at("2026-03-28T22:00"), at("2026-10-24T22:00")
    assert half_past_two.release_in("Europe/Berlin", spring) == at("2026-03-29T01:30")
    assert half_past_two.release_in("Europe/Berlin", autumn) == at("2026-10-25T00:30")


def test_readers_without_a_zone_have_the_installations():
    at_home = SEVEN.at_home_in("Asia/Kolkata")
    for name in ("UTC", "Mars/Base"):
        assert at_home.release_in(name, NOON) == at("2026-03-02T01:30")


@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(0, 3 * 365 * 86_400).map(lambda n: NOON + timedelta(seconds=n)),
    minutes=st.integers(0, 1439),
    when_missed=st.sampled_from(MissedZones),
)
def test_every_zone_is_reached_within_a_day_and_two_hours_and_never_before_the_start(
    zone, start, minutes, when_missed
):
    local = LocalRelease(time_of_day=time(minutes // 60, minutes % 60), when_missed=when_missed)
    assert start <= local.release_in(zone, start) <= start + 26 * HOUR


def test_zones_with_one_clock_leave_together_named_by_where_most_readers_are():
    by_zone = {"Europe/Paris": 2, "Europe/Berlin": 5, "Asia/Tokyo": 1}
    assert group_releases(by_zone, SEVEN, NOON) == [
        Release(at("2026-03-01T22:00"), "Asia/Tokyo", 1),
        Release(at("2026-03-02T06:00"), "Europe/Berlin", 7),
    ]


@pytest.mark.parametrize("local", [SEVEN, LocalRelease(time_of_day=time(7), day=date(2026, 3, 9))])
def test_it_is_kept_as_json_and_read_again(local):
    assert LocalRelease.of_json(local.to_json()) == local


@pytest.mark.parametrize(
    "draft",
    [
        Draft(local_release=SEVEN, urgency=Urgency.BREAKING),
        Draft(local_release=SEVEN, update=True),
        Draft(local_release=SEVEN, spread=HOUR),
    ],
)
def test_an_alert_that_cannot_wait_for_a_local_time_is_refused_by_name(draft):
    with pytest.raises(Invalid) as refused:
        check_draft(draft, NOON)
    assert refused.value.field == "local_time"


def test_it_is_scheduled_for_the_first_zone_and_lives_until_the_last_had_its_time():
    monday = LocalRelease(time_of_day=time(7), day=date(2026, 3, 9))
    draft = check_draft(Draft(local_release=monday, send_at=at("2026-03-09T00:00")), NOON)
    assert draft.send_at == at("2026-03-08T17:00")
    origin = Origin(alert_id=1, story_id=2, created_by="a test", created_at=NOON)
    alert = new_first_alert(origin, draft, Words("Rain", ""))
    assert alert.kind is Kind.FIRST
    assert alert.expires_at == at("2026-03-09T19:00") + 4 * HOUR
    begun = LocalRelease(time_of_day=time(7), day=date(2026, 3, 1))
    assert check_draft(Draft(local_release=begun, send_at=NOON), NOON).send_at is None
