"""The settings that are about readers: how many come, and who is left out of an alert."""

from pydantic import BaseModel, Field


class ReaderSettings(BaseModel):
    """What the installation decides for all its readers."""

    registrations_per_minute: int = Field(
        30, ge=1, description="New readers a minute from one address; loopback is not limited."
    )
    language_rule: bool = Field(
        False,
        description="Whether an alert in no language that a reader reads leaves the reader out, "
        "breaking ones too; who has named no language gets all.",
    )
