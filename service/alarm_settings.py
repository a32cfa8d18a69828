"""The settings of the alarms: who is told, and from when on."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

MOST_TARGETS = 10
Addresses = Annotated[tuple[str, ...], NoDecode]


class AlarmSettings(BaseModel):
    """Where alarms go. The operator names these addresses, so they may be inside our network."""

    alarm_urls: Addresses = Field(
        (),
        description="Webhooks that alarms go to, comma-separated; Slack, Teams, Mattermost.",
    )
    desk_urls: Addresses = Field(
        (),
        description="Webhooks of the newsroom: one note for each alert that ended.",
    )
    smtp_url: str = Field(
        "",
        description="The mail server for alarms: smtp://user:password@host:587 or smtps://.",
    )
    alarm_emails: Addresses = Field((), description="Who gets alarms by mail, comma-separated.")
    alarm_accepted_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="An alert that ends with a smaller share accepted is an alarm; 0 = never.",
    )

    @field_validator("alarm_urls", "desk_urls", "alarm_emails", mode="before")
    @classmethod
    def _split_addresses(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        if len(parts) > MOST_TARGETS:
            msg = f"at most {MOST_TARGETS} addresses"
            raise ValueError(msg)
        return parts

    @field_validator("alarm_urls", "desk_urls")
    @classmethod
    def _check_webhooks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _is_url(url, ("http", "https")) for url in value):
            msg = "give absolute http or https addresses, comma-separated"
            raise ValueError(msg)
        return value

    @field_validator("alarm_emails")
    @classmethod
    def _check_emails(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("@" not in email or not email.isprintable() for email in value):
            msg = "give e-mail addresses, comma-separated"
            raise ValueError(msg)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _check_mail_server(cls, value: str) -> str:
        if value and not _is_url(value, ("smtp", "smtps")):
            msg = "give smtp://user:password@host:587 or smtps://user:password@host:465"
            raise ValueError(msg)
        return value


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
