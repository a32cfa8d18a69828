"""When an alert leaves: as the form of Send Push says it, and in words."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from service.domain.errors import Invalid
from service.domain.pace.local_release import (
    BEYOND_CALENDAR,
    FIRST_DAY,
    LAST_DAY,
    LocalRelease,
    MissedZones,
    Release,
)
from service.domain.time_zone import load_zone
from service.web.formatting import ago


def parse_local_time(text: str, zone_name: str) -> datetime:
    """Return the moment that a field of date and time says in a time zone. Raises `Invalid`."""
    wrong = Invalid("send_at", "Give a date and a time, or leave it empty.")
    zone = load_zone(zone_name)
    if zone is None:
        raise wrong
    try:
        local = datetime.fromisoformat(text.strip())
        return (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None


def parse_day(text: str) -> date | None:
    """Return the calendar day that a field says; None for an empty one. Raises `Invalid`."""
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid("local_day", "Give a day, or leave it empty for today.") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise Invalid("local_day", BEYOND_CALENDAR)
    return day


def parse_local_release(
    text: str, day: str, when_missed: MissedZones, zone_name: str, now: datetime | None
) -> LocalRelease:
    """Return what the fields of a local time say. Raises `Invalid`, for a day that is over too."""
    try:
        time_of_day = time.fromisoformat(text.strip()).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError:
        raise Invalid("local_time", "Give the time of day at which it leaves.") from None
    chosen_day = parse_day(day)
    if chosen_day is not None and now is not None:
        today = now.astimezone(load_zone(zone_name) or UTC).date()
        if chosen_day < today:
            raise Invalid("local_day", f"{chosen_day:%d %B %Y} is over: choose a later day.")
    return LocalRelease(time_of_day=time_of_day, day=chosen_day, when_missed=when_missed)


def describe_release(local: LocalRelease) -> str:
    """Return the time of day, and the day if one was named."""
    day = f" on {local.day:%A, %d %B %Y}" if local.day else ""
    return f"{local.time_of_day:%H:%M} where each reader is{day}"


def describe_releases(local: LocalRelease, releases: Sequence[Release], now: datetime) -> str:
    """Return when an alert leaves, from the first zone to the last, as part of a sentence."""
    words = f"at {describe_release(local)}"
    if not releases:
        return words
    first, last = releases[0], releases[-1]
    if len(releases) == 1:
        return f"{words}, {_say(first, now)},"
    return f"{words} - first {_say(first, now)}, last {_say(last, now)} -"


def describe_next(local: LocalRelease, releases: Sequence[Release], now: datetime) -> str:
    """Return which zones an alert that is being sent leaves in next, in a sentence."""
    if not releases:
        return "It has left in every time zone."
    following = releases[0]
    zones = "the last time zone" if len(releases) == 1 else f"{len(releases)} time zones wait"
    devices = sum(release.devices for release in releases)
    when = ago(following.leaves_at, now)
    count = f"{devices:,} {'device' if devices == 1 else 'devices'}"
    place = city(following.zone)
    return f"{local.time_of_day:%H:%M} in {place} is next, {when}; {zones}, {count}."


def city(zone_name: str) -> str:
    """Return the place that a time zone is named after."""
    return zone_name.rpartition("/")[2].replace("_", " ")


def _say(release: Release, now: datetime) -> str:
    when = "at once" if release.leaves_at <= now else ago(release.leaves_at, now)
    return f"{when} ({city(release.zone)})"
