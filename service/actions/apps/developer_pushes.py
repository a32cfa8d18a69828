"""A developer's test: one push to an address that somebody pastes, and the provider's own answer.

The push itself is made by a program of the workers (`workers.upkeep.single_push`), which gets the
order on its standard input: an address is a secret, and stands in no log, row or command line.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from service.actions.apps.app_administration import providers_in_use
from service.actions.apps.app_lookup import AppLookup, check_registration, open_app
from service.domain.device import MAX_ADDRESS, Registration
from service.domain.errors import Conflict, Invalid, Unavailable
from service.domain.people import Caller
from service.provider_door import WEB_PUSH
from service.settings import Settings
from service.store.operations import apps, pauses
from service.store.staff import audit
from service.unit_of_work import UnitOfWork

log = structlog.get_logger()

LONGEST_PASTE = 2 * MAX_ADDRESS
MARGIN_S = 15.0
"""For the start of the program and a new credential, beside the provider's time to answer."""
PROGRAM = (sys.executable, "-m", "workers.upkeep.single_push")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOutcome:
    """What the provider answered, without the address, and what that means to a developer.

    `tone` is good, wait or bad. `status` is 0 where there was no answer.
    """

    tone: str
    title: str
    meaning: str
    advice: str
    status: int
    answer: str
    milliseconds: int


def prepare_push(
    work: UnitOfWork, settings: Settings, app: str, pasted: str, caller: Caller
) -> str:
    """Return the order of one push, and record who wants it, without the address.

    `pasted` is an address or a browser's subscription as JSON. Raises `Invalid` for a wrong one,
    and `Conflict` while all sending is paused. A held app is pushed through: that shows whether
    its fault is mended.
    """
    if pauses.get(work.session) is not None:
        raise Conflict("All sending is paused: resume it first.")
    provider = providers_in_use(work, settings.providers).get(app)
    if provider is None:
        raise Invalid("app", "Choose one of the apps in use.")
    registration = read_pasted(pasted, provider, app)
    valid = check_registration(AppLookup(work.session, settings.seal_keys), registration)
    row = apps.get(work.session, app)
    audit.write(
        work.session, caller.name, "test push", f"app:{app}", provider=provider, by=caller.label
    )
    names = ("address", "kind", "p256dh", "auth", "vapid_key")
    order = {
        "provider": provider,
        "app": None if row is None else asdict(open_app(settings.seal_keys, row)),
        "target": {name: getattr(valid, name) for name in names},
    }
    return json.dumps(order)


def read_pasted(pasted: str, provider: str, app: str) -> Registration:
    """Return the registration of what was pasted; raises `Invalid`, which names `address`."""
    text = pasted.strip()
    if not text or len(text) > LONGEST_PASTE:
        raise Invalid("address", f"Paste an address of 1 to {LONGEST_PASTE:,} characters.")
    if not text.startswith("{"):
        if provider == WEB_PUSH:
            raise Invalid(
                "address",
                "A browser's address needs its keys: paste the whole subscription, which "
                "JSON.stringify(subscription) gives.",
            )
        return Registration(provider=provider, address=text, app=app)
    subscription = _parse_object(text)
    keys = subscription.get("keys")
    keys = keys if isinstance(keys, dict) else {}
    return Registration(
        provider=provider,
        address=str(subscription.get("endpoint", "")),
        p256dh=_text_of(keys, "p256dh"),
        auth=_text_of(keys, "auth"),
        vapid_key=_text_of(keys, "vapid_key"),
        app=app,
    )


def send_push(settings: Settings, order: str) -> PushOutcome:
    """Push once; raises `Unavailable` where the program ends without an outcome."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own program; what it gets is on its input
            PROGRAM,
            input=order,
            text=True,
            capture_output=True,
            timeout=settings.request_timeout_s + MARGIN_S,
            check=True,
        )
        outcome = json.loads(ended.stdout)
        return PushOutcome(**outcome.pop("explanation"), **outcome)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, KeyError) as error:
        # what the program wrote may hold the address
        log.warning("test push without an outcome", error=type(error).__name__)
        raise Unavailable("The push could not be made: try again.") from None


def _parse_object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Invalid("address", "This begins like JSON and is none: paste the whole subscription.")
    return value


def _text_of(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) else None
