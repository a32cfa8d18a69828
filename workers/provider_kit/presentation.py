"""What several providers say of an alert in the same words: its ids, its loudness, its image."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from math import ceil

from service.domain.alert import Words
from service.domain.media.pictures import narrow_address, wide_address
from service.domain.subscription import Urgency
from workers.provider import AlertContent
from workers.provider_kit.encoding import base64url

LONGEST_IMAGE_URL = 1000
"""An image whose address is longer is left out: it would take the words' room."""


def story_fields(content: AlertContent) -> Mapping[str, str]:
    """Return the fields by which an app knows the alert and opens the story."""
    return {
        "alert_id": content.alert_id,
        "story_id": content.story_id,
        "url": content.url,
    }


def is_quiet(content: AlertContent) -> bool:
    """Whether the push makes no sound."""
    return content.silent or content.urgency is Urgency.QUIET


def interruption_level(content: AlertContent) -> str:
    """Return Apple's `interruption-level`.

    https://developer.apple.com/documentation/usernotifications/unnotificationinterruptionlevel
    """
    if is_quiet(content):
        return "passive"
    return "time-sensitive" if content.urgency is Urgency.BREAKING else "active"


def android_channel(content: AlertContent) -> str:
    """Return the notification channel that our Android app keeps for this urgency."""
    return "quiet" if content.silent else content.urgency.value


def image_url_of(content: AlertContent) -> str | None:
    """Return the address of the alert's image; None when it has none that is short enough.

    One of ours is named in a width that a phone loads in a moment: Apple's devices show it whole.
    """
    url = content.image_url
    return narrow_address(url) if url and len(url.encode()) <= LONGEST_IMAGE_URL else None


def wide_image_url_of(content: AlertContent) -> str | None:
    """Return the address of the image twice as wide as high, if we have one; else as above.

    Android, HarmonyOS and Chrome cut an image to about that shape.
    """
    url = image_url_of(content)
    return wide_address(url) if url else None


def seconds_left(content: AlertContent, now: datetime) -> int:
    """Return for how many seconds the alert is still worth showing: 0 only when it has expired.

    A second that has begun counts: a TTL of 0 asks push services to store nothing.
    """
    return max(0, ceil((content.expires_at - now).total_seconds()))


def expiry_of(content: AlertContent) -> int:
    """Return when the alert expires: the end of that second, in seconds since 1970."""
    return ceil(content.expires_at.timestamp())


def shown_words(words: Words) -> dict[str, str]:
    """Return the words to be shown; a body without text is left out."""
    return {"title": words.title} | ({"body": words.body} if words.body.strip() else {})


def fit_collapse_key(key: str, longest: int, allowed: str = "-._~") -> str:
    """Return the collapse key unchanged when the provider takes it, else a hash of it.

    A provider takes ASCII letters, digits and `allowed`, at most `longest` of them.
    """
    plain = key.isascii() and all(char.isalnum() or char in allowed for char in key)
    if plain and 0 < len(key) <= longest:
        return key
    return base64url(hashlib.sha256(key.encode("utf-8", "replace")).digest())[:longest]
