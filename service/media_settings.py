"""The settings of uploaded pictures: where their files are stored."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator

IN_POSTGRES = "postgres"
S3_SCHEME = "s3://"
DEFAULT_REGION = "us-east-1"
_PLACES = "give postgres, the absolute path of a folder, or s3://bucket/prefix?endpoint=https://..."


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of S3-like storage; `endpoint` is an origin, `prefix` has no slash at its ends."""

    name: str
    prefix: str
    endpoint: str
    region: str


class MediaSettings(BaseModel):
    """Where the files of uploaded pictures are stored."""

    media: str = Field(
        IN_POSTGRES,
        description="Where uploaded pictures are stored: postgres, the path of a folder that all "
        "hosts share, or s3://bucket/prefix?endpoint=https://...&region=...",
    )
    media_key_id: str = Field("", description="The access key's id, for s3://.")
    media_secret_key: str = Field("", description="The access key's secret, for s3://.")

    @property
    def media_bucket(self) -> Bucket:
        """The bucket that `media` names."""
        return parse_bucket(self.media)

    @field_validator("media", mode="before")
    @classmethod
    def _default_when_empty(cls, value: object) -> object:
        return value or IN_POSTGRES

    @field_validator("media")
    @classmethod
    def _check_place(cls, value: str) -> str:
        if value.startswith(S3_SCHEME):
            parse_bucket(value)
        elif value != IN_POSTGRES and not Path(value).is_absolute():
            raise ValueError(_PLACES)
        return value

    @model_validator(mode="after")
    def _require_key(self) -> "MediaSettings":
        if self.media.startswith(S3_SCHEME) and not (self.media_key_id and self.media_secret_key):
            msg = "NEWSZOP_MEDIA needs NEWSZOP_MEDIA_KEY_ID and NEWSZOP_MEDIA_SECRET_KEY for s3://"
            raise ValueError(msg)
        return self


def parse_bucket(address: str) -> Bucket:
    """Return the bucket of an `s3://` address; raises `ValueError`, which says what is wrong."""
    parts = urlsplit(address)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    region = query.get("region", DEFAULT_REGION)
    endpoint = query.get("endpoint", f"https://s3.{region}.amazonaws.com").rstrip("/")
    origin = urlsplit(endpoint)
    is_origin = origin.scheme in ("http", "https") and bool(origin.netloc) and not origin.path
    if not parts.netloc or not is_origin or query.keys() - {"region", "endpoint"}:
        raise ValueError(_PLACES)
    return Bucket(parts.netloc, parts.path.strip("/"), endpoint, region)
