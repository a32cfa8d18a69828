"""Parts of the JSON of alerts: an estimate, releases, headlines, and who is left out."""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, Field

from service.domain.audience import LeftOut
from service.domain.pace.local_release import Release
from service.http.dependencies import Moment


def _is_absent(value: object) -> bool:
    return value is None


class ReleaseShown(BaseModel):
    """When an alert leaves in some time zones, those with the same clock."""

    leaves_at: Moment
    zone: str = Field(description="The zone of most of the readers.")
    devices: int


class HeadlineShown(BaseModel):
    """One of two headlines, and what became of it in the test: the rest is not in these.

    `accepted` and `opened` are of readers whose openings are counted.
    """

    title: str
    body: str
    sent: int
    accepted: int
    opened: int


class LeftOutShown(BaseModel):
    """Devices of followers whom the alert is not for.

    Each device counts under the first reason that holds, in this order.
    """

    quiet_hours: int
    language: int = Field(description="Their readers read none of the alert's languages.")
    frequency: int = Field(description="Their readers got enough alerts in the last 24 hours.")


class EstimateShown(BaseModel):
    """How many devices would be reached; not `exact` where a sample was counted."""

    devices: int
    by_provider: dict[str, int]
    by_app: dict[str, int]
    exact: bool
    left_out: LeftOutShown
    spread_seconds: int = Field(description="As in the request.")
    open_share: float = Field(
        description="Opens by device, of the installation's latest alerts; 0.05 without any."
    )
    releases: list[ReleaseShown] | None = Field(
        None,
        exclude_if=_is_absent,
        description="With local_time: when it would leave where, the first first. Time zones with "
        "the same clock leave together.",
    )
    needed_devices: int | None = Field(
        None,
        exclude_if=_is_absent,
        description="With variants: how many devices the audience needs so that the test can find "
        "one headline opened half as often again as the other. With fewer, sending is refused.",
    )
    opens_per_second: float = Field(description="To be expected on the site at the height.")


def show_releases(releases: Iterable[Release]) -> list[ReleaseShown]:
    """Return when the alert leaves where."""
    return [
        ReleaseShown(leaves_at=each.leaves_at, zone=each.zone, devices=each.devices)
        for each in releases
    ]


def show_left_out(counts: Mapping[LeftOut, int]) -> LeftOutShown:
    """Return how many devices were left out by which rule."""
    return LeftOutShown(**{reason.value: counts.get(reason, 0) for reason in LeftOut})
