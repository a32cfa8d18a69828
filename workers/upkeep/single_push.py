"""`python -m workers.upkeep.single_push`: push once to one address, and say what came of it.

A developer who tries an app starts it from Control. The order comes as JSON on standard input, so
the address and the credentials stand in no command line and no row; nothing here logs them. The
push takes the way of an alert's: the app's shared credential, the provider's own request, the
gateway with its guard, the provider's verdict. Nothing follows from the verdict: no device is
forgotten, and no app held.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from service import settings as service_settings
from service.broker.redis_client import open_redis
from service.domain.alert import Words
from service.domain.subscription import Urgency
from service.domain.verdict import SenderRejected, Verdict
from service.settings import Settings
from workers import provider as providers
from workers.app_provider import load_app
from workers.credentials.minting import Credentials
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway
from workers.provider import (
    AlertContent,
    Answer,
    Credential,
    CredentialRefused,
    Provider,
    Request,
    Target,
    one_line,
)
from workers.upkeep.verdict_words import Explanation, explain_verdict

REDIS_TIMEOUT_S = 3.0
LIFE = timedelta(minutes=5)
LONGEST_ORDER = 256 * 1024
LONGEST_ANSWER = 1000
TEST = "test-push"
"""Its collapse key, and its receipt, which no server of ours takes for one of an alert."""
NO_ID = "0"
SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOutcome:
    """What came of the push: the answer as it was, without the address, and what it means.

    `status` is 0 where there was no answer; `milliseconds` is how long the provider took.
    """

    explanation: Explanation
    status: int
    answer: str
    milliseconds: int


def main() -> int:
    """Read an order, push, and print the outcome as one JSON object."""
    settings = service_settings.load()
    order = json.loads(sys.stdin.read(LONGEST_ORDER))
    outcome = carry_out(settings, order)
    sys.stdout.write(json.dumps(asdict(outcome)))
    return 0


def carry_out(settings: Settings, order: Mapping[str, Any]) -> PushOutcome:
    """Push to `target` through `app`, or through the default app of `provider` without one."""
    gateway = open_gateway(settings)
    start = time.monotonic()
    answers: list[Answer] = []
    try:
        verdict = _push(settings, gateway, order, answers)
    except CredentialRefused as refusal:
        verdict = refusal.verdict
    finally:
        gateway.close()
    answer = answers[-1] if answers else Answer(0)
    text = answer.body.decode("utf-8", "replace") if answer.status else answer.detail
    return PushOutcome(
        explanation=explain_verdict(verdict),
        status=answer.status,
        answer=_hide(one_line(text), order["target"]["address"])[:LONGEST_ANSWER],
        milliseconds=round((time.monotonic() - start) * 1000),
    )


def _push(
    settings: Settings, gateway: Gateway, order: Mapping[str, Any], answers: list[Answer]
) -> Verdict:
    provider = _load(order)
    gateway.open_pool(provider.name, provider.window, provider.guard)
    redis = open_redis(settings.redis_url, REDIS_TIMEOUT_S)
    credentials = Credentials(settings, redis)
    now = datetime.now(UTC)
    verdict = _send(
        settings, gateway, provider, credentials.obtain(provider, now), order["target"], answers
    )
    if isinstance(verdict, SenderRejected) and verdict.remint and credentials.reject(provider, now):
        credential = credentials.obtain(provider, now)
        verdict = _send(settings, gateway, provider, credential, order["target"], answers)
    return verdict


def _load(order: Mapping[str, Any]) -> Provider:
    app = order["app"]
    if app is None:
        return providers.load_provider(order["provider"])
    credentials, options = json.loads(app["credentials"]), json.loads(app["options"])
    return load_app(app["name"], app["provider"], credentials, options)


def _send(
    settings: Settings,
    gateway: Gateway,
    provider: Provider,
    credential: Credential,
    target: Mapping[str, str | None],
    answers: list[Answer],
) -> Verdict:
    now = datetime.now(UTC)
    pushes = provider.pushes(_content(settings, now), credential)
    [item] = pushes.requests([_target(target)], now)
    if not isinstance(item, Request):
        return item[1]
    [(_, answer)] = gateway.send(provider.name, [item])
    answers.append(answer)
    return provider.read_answer(answer, item.positions)[0]


def _target(target: Mapping[str, str | None]) -> Target:
    return Target(
        position=0,
        delivery_id=str(uuid4()),
        address=target["address"] or "",
        kind=target["kind"] or "",
        p256dh=target["p256dh"],
        auth=target["auth"],
        locale="",
        receipt=TEST,
        vapid_key=target["vapid_key"],
    )


def _content(settings: Settings, now: datetime) -> AlertContent:
    words = Words("Test push", f"From {settings.site_name}, sent at {now:%H:%M} UTC.")
    return AlertContent(
        alert_id=NO_ID,
        story_id=NO_ID,
        words={"": words},
        language="en",
        url=f"{settings.public_url}/",
        image_url=None,
        icon_url=f"{settings.public_url}/static/icon-192.png",
        urgency=Urgency.NORMAL,
        collapse_key=TEST,
        expires_at=now + LIFE,
    )


def _hide(text: str, address: str) -> str:
    """Return what a provider wrote, without the address that some repeat, or its last part."""
    for secret in (address, address.rpartition("/")[2]):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "[the address]")
    return text


if __name__ == "__main__":
    sys.exit(main())
