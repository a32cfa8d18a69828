"""The settings that are about readers: how many come, and who is left out of an alert."""

from pydantic import BaseModel, Field, field_validator

from service.domain.people import MOST_ALERTS_PER_DAY
from service.domain.time_zone import canonical_name


class ReaderSettings(BaseModel):
    """What the installation decides for all its readers."""

    registrations_per_minute: int = Field(
        30, ge=1, description="New readers a minute from one address; loopback is not limited."
    )
    timezone: str = Field(
        "UTC",
        description="The time zone of readers who have named none, as in Europe/Berlin: it counts "
        "where an alert leaves at a local time.",
    )
    language_rule: bool = Field(
        False,
        description="Whether an alert in no language that a reader reads leaves the reader out, "
        "breaking ones too; who has named no language gets all.",
    )
    frequency_cap: int = Field(
        0,
        ge=0,
        le=MOST_ALERTS_PER_DAY,
        description="The most normal and quiet alerts that a reader gets in 24 hours; breaking "
        "ones always come. 0: no limit but the readers' own.",
    )
    results_by_default: bool = Field(
        True,
        description="Whether what a reader opens is counted in what alerts did while the reader "
        "has not said so itself; a reader's own choice always holds.",
    )

    @field_validator("timezone")
    @classmethod
    def _read_zone(cls, name: str) -> str:
        zone = canonical_name(name)
        if zone is None:
            msg = "is not a time zone: use a name like Asia/Kolkata"
            raise ValueError(msg)
        return zone
