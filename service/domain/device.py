"""A device: one place where a reader can be reached."""

from dataclasses import dataclass
from datetime import datetime

MAX_DEVICES_PER_READER = 16
MAX_ADDRESS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a reader may know of a registered device: never its address, which is a secret."""

    id: int
    provider: str
    locale: str
    app_version: str
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A device making itself known: `p256dh` and `auth` are Web Push keys, base64url."""

    provider: str
    address: str
    kind: str = ""
    p256dh: str | None = None
    auth: str | None = None
    locale: str = ""
    app_version: str = ""
    replaces: str | None = None
