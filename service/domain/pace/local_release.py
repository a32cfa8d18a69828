"""An alert that leaves at one time of day, where each reader is: "07:00 in your time zone".

Every time zone has a moment of its own, its release. The same rule stands in SQL in
`service.store.readers.audience`; a property test holds the two together. Others decide the same:
who gets an alert is decided when it starts (OneSignal, Airship), and a time that has passed
somewhere means tomorrow (PushAlert) or now (Pushwoosh), as the editor chooses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Any

from service.domain.time_zone import canonical_names, load_zone

UNNAMED = "UTC"
"""The zone of readers who have named none; nobody lives in it."""
DAY = timedelta(days=1)
FIRST_DAY, LAST_DAY = date.min + 2 * DAY, date.max - 2 * DAY
"""Between these every time zone has each time of day, and a day after it."""
BEYOND_CALENDAR = "This day is beyond the calendar."
LONGEST_DAY = timedelta(hours=26)
"""From when a time of day comes in the first zone of the world until it comes in the last."""


class MissedZones(StrEnum):
    """What becomes of the zones where the time has passed when the alert starts."""

    NOW = "now"
    TOMORROW = "tomorrow"


@dataclass(frozen=True, slots=True)
class Release:
    """When an alert leaves in the zones with one clock; `zone` is where most readers are."""

    leaves_at: datetime
    zone: str
    devices: int


def group_releases(
    by_zone: Mapping[str, int], local: "LocalRelease", starts_at: datetime
) -> list[Release]:
    """Return when an alert leaves for devices whose zones are known, the first first."""
    zones: dict[datetime, list[str]] = {}
    for zone in by_zone:
        zones.setdefault(local.release_in(zone, starts_at), []).append(zone)
    return [
        Release(moment, max(names, key=lambda name: by_zone[name]), sum(by_zone[n] for n in names))
        for moment, names in sorted(zones.items())
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRelease:
    """The time of day at which an alert leaves in every zone.

    `day` is the calendar day in each zone; None: the day that it is there when the alert starts.
    `home_zone` is the installation's, for readers who have named no zone.
    """

    time_of_day: time
    when_missed: MissedZones = MissedZones.TOMORROW
    day: date | None = None
    home_zone: str = UNNAMED

    def release_in(self, zone_name: str, starts_at: datetime) -> datetime:
        """Return when an alert that starts then leaves in a zone; never before it starts.

        A time that is skipped when summer time begins is that much later, and of one that comes
        twice it is the first, as RFC 5545 (3.3.5) has it.
        """
        zone = self._zone_of(zone_name)
        today = starts_at.astimezone(zone).date()
        release = self._moment(self.day or today, zone)
        if release >= starts_at:
            return release
        if self.when_missed is MissedZones.NOW:
            return starts_at
        release = self._moment(today, zone)
        return release if release >= starts_at else self._moment(today + DAY, zone)

    def releases(self, zone_names: Iterable[str], starts_at: datetime) -> dict[str, datetime]:
        """Return when the alert leaves in each of the zones."""
        return _releases(self, tuple(zone_names), starts_at)

    def first_moment_of_day(self, day: date) -> datetime:
        """Return when that day's time comes in the first zone of the world."""
        return min(self._moment(day, self._zone_of(name)) for name in canonical_names())

    def last_release(self, starts_at: datetime) -> datetime:
        """Return when an alert that starts then leaves in the last zone of the world."""
        return max(self.releases(sorted(canonical_names()), starts_at).values())

    def at_home_in(self, zone_name: str) -> "LocalRelease":
        """Return the same for an installation in this zone."""
        return replace(self, home_zone=zone_name)

    def to_json(self) -> dict[str, str]:
        """Return it as it is kept."""
        values = {
            "time": f"{self.time_of_day:%H:%M}",
            "missed": self.when_missed.value,
            "home_zone": self.home_zone,
        }
        return values if self.day is None else values | {"day": self.day.isoformat()}

    @classmethod
    def of_json(cls, values: dict[str, Any] | None) -> "LocalRelease | None":
        """Return what was kept; None for an alert that leaves everywhere at the same moment."""
        if values is None:
            return None
        return cls(
            time_of_day=time.fromisoformat(values["time"]),
            when_missed=MissedZones(values["missed"]),
            day=date.fromisoformat(values["day"]) if "day" in values else None,
            home_zone=values["home_zone"],
        )

    def _zone_of(self, name: str) -> tzinfo:
        zone = None if name == UNNAMED else load_zone(name)
        return zone or load_zone(self.home_zone) or UTC

    def _moment(self, day: date, zone: tzinfo) -> datetime:
        return datetime.combine(day, self.time_of_day, tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=8)
def _releases(
    local: LocalRelease, zone_names: tuple[str, ...], starts_at: datetime
) -> dict[str, datetime]:
    """Compute the releases once for the many shards of an alert: 5 ms for all zones."""
    return {name: local.release_in(name, starts_at) for name in zone_names}
