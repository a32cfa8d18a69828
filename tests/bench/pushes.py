"""The pushes that benchmarks send, built by the real providers for devices of the stand-ins."""

import os
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from service.domain.alert import Words
from service.domain.subscription import Urgency
from workers.provider import AlertContent, Credential, Request, Target, load_provider

APNS_DIGITS = 64
FCM_TAIL = 140


@dataclass(frozen=True)
class Job:
    """What a client sends. `environment` holds the provider's settings."""

    provider: str
    pushes: int
    window: int
    ca_file: str
    credential: str
    environment: dict[str, str] = field(default_factory=dict)


def requests_of(job: Job) -> Iterator[Request]:
    """Yield one request more than `job.pushes`: the first one opens the connection."""
    os.environ.update(job.environment)
    now = datetime.now(UTC)
    provider = load_provider(job.provider)
    credential = Credential(job.credential, now, now + timedelta(hours=1))
    pushes = provider.pushes(alert_content(now), credential)
    dice = random.Random(job.provider)
    targets = [a_target(job.provider, n, dice) for n in range(job.pushes + 1)]
    for each in pushes.requests(targets, now):
        assert isinstance(each, Request)
        yield each


def alert_content(now: datetime) -> AlertContent:
    words = Words("Rain at last", "The first rain in sixty days falls on the north tonight.")
    return AlertContent(
        alert_id="4611686018427387904",
        story_id="4611686018427387905",
        words={"": words},
        language="en",
        url="https://news.example/stories/rain-at-last",
        image_url=None,
        icon_url="https://news.example/icon.png",
        urgency=Urgency.BREAKING,
        collapse_key="4611686018427387905",
        expires_at=now + timedelta(hours=4),
    )


def a_target(provider: str, n: int, dice: random.Random) -> Target:
    address = f"{dice.getrandbits(4 * APNS_DIGITS):0{APNS_DIGITS}x}"
    if provider == "fcm":
        address = f"bench{dice.getrandbits(64):017d}:APA91b{dice.getrandbits(4 * FCM_TAIL):x}"
    return Target(
        position=n % 1000,
        delivery_id=str(uuid.UUID(int=dice.getrandbits(128))),
        address=address,
        kind="token",
        p256dh=None,
        auth=None,
        locale="en",
        receipt="r" * 35,
    )
