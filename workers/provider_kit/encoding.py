"""Forms that several providers share: JSON in bytes, a collapse key's length, a TTL, an origin."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator

from workers.provider import AlertContent, Position, Target

LONGEST_IMAGE_URL = 1000
"""An image whose address is longer is left out: it would take the room of the words."""


class Addressed(tuple[Position, ...]):  # noqa: SLOT001 - a tuple's slots must be empty
    """The positions of a request and the address of each, for answers that name addresses."""

    addresses: tuple[str, ...]

    @classmethod
    def of(cls, targets: Sequence[Target]) -> Self:
        """Return the positions and addresses of the targets."""
        made = cls(target.position for target in targets)
        made.addresses = tuple(target.address for target in targets)
        return made


def json_bytes(value: object) -> bytes:
    """Return `value` as compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_inside(text: str) -> str:
    """Return `text` as it stands between the quotes of a JSON string."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return json.dumps(text)[1:-1]


def base64url(data: bytes) -> str:
    """Return the data in base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Return the data that `text` spells, padded or not; raises ValueError when it spells none."""
    plain = text.rstrip("=")
    if not plain.isascii() or not plain.replace("-", "").replace("_", "").isalnum():
        raise ValueError("not base64url")
    return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))


def collapse_form(key: str, longest: int, allowed: str = "-._~") -> str:
    """Return the collapse key as it stands when a provider takes it, else a hash of it.

    A provider takes ASCII letters, digits and `allowed`, at most `longest` of them.
    """
    plain = key.isascii() and all(char.isalnum() or char in allowed for char in key)
    if plain and 0 < len(key) <= longest:
        return key
    return base64url(hashlib.sha256(key.encode("utf-8", "replace")).digest())[:longest]


def seconds_left(content: AlertContent, now: datetime) -> int:
    """Return how many whole seconds the alert is still worth showing, never below zero."""
    return max(0, int((content.expires_at - now).total_seconds()))


def image_of(content: AlertContent) -> str | None:
    """Return the address of the image that goes with the alert, if one may."""
    image = content.image_url
    return image if image and len(image.encode()) <= LONGEST_IMAGE_URL else None


def _origin(value: str) -> str:
    scheme, separator, rest = value.rstrip("/").partition("://")
    if scheme not in ("https", "http") or not separator or not rest or set(rest) & set("/?#@ "):
        raise ValueError("must be an origin such as https://push.example.org, without a path")
    return f"{scheme}://{rest.lower()}"


Origin = Annotated[str, AfterValidator(_origin)]
"""A setting that says where a provider is: scheme, host and perhaps a port."""
