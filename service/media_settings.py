"""The settings of uploaded pictures: where their files are stored."""

from pydantic import BaseModel, Field

IN_POSTGRES = "postgres"


class MediaSettings(BaseModel):
    """Where the files of uploaded pictures are stored."""

    media: str = Field(IN_POSTGRES, description="Where uploaded pictures are stored: postgres.")
