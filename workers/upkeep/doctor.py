"""`python -m workers.upkeep.doctor`: ask every provider in use whether it accepts our credentials.

Each is asked by a request that alerts nobody and takes the same way as a push. A finding says in
words what is wrong and what to do; the exit code is 1 if anything is wrong.
"""

import json
import sys
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import assert_never

import httpx
from pydantic import ValidationError

from service import settings as service_settings
from service.broker.redis_client import open_redis
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
    Verdict,
)
from service.settings import Settings, SettingsError, explain
from workers import provider as providers
from workers.credentials.minting import Credentials
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway
from workers.provider import Answer, Credential, CredentialRefused, LimitsMints, Provider, Request
from workers.provider_kit.answers import parse_http_date
from workers.upkeep import story_page
from workers.upkeep.doctor_servers import examine_servers
from workers.upkeep.doctor_storage import examine_storage
from workers.upkeep.finding import Finding

PAGE_TIMEOUT_S = 5.0
REDIS_TIMEOUT_S = 3.0
PAGE_IS_WELL = "It answers, or there is no story yet."
_STATES = {"well": "well", "ILL": "ill", "----": "unknown"}
LARGEST_SKEW = timedelta(seconds=30)


def main() -> int:
    """Examine all providers in use and print the findings."""
    try:
        settings = service_settings.load()
    except SettingsError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    well = True
    for finding in chain(examine_servers(settings), examine_storage(settings), examine(settings)):
        well = well and finding.is_well
        word = "well" if finding.is_well else "ILL"
        _print(finding.part, word, finding.sentence)
    return 0 if _check_page(settings) and well else 1


def _print(part: str, word: str, sentence: str) -> None:
    """Print one finding: a line for people, or with `--json` an object for programs."""
    line = f"{part:<8} {word:<4} {sentence}"
    if "--json" in sys.argv:
        line = json.dumps({"part": part, "state": _STATES[word], "sentence": sentence})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _check_page(settings: Settings) -> bool:
    """Ask for the newest story's page as before a scheduled alert; a site that is off is no ill."""
    origin = settings.page_origin
    try:
        answer = httpx.get(f"{origin}/api/stories?limit=1", timeout=PAGE_TIMEOUT_S, trust_env=False)
        stories = answer.json()["items"] if answer.is_success else None
    except httpx.ConnectError:
        _print("page", "----", f"Nothing answers at {origin}: start it, and ask again.")
        return True
    except (httpx.HTTPError, ValueError, KeyError):
        stories = None
    fault: str | None = f"{origin} does not answer as our site: scheduled alerts would wait."
    if stories is not None:
        slug = stories[0]["slug"] if stories else ""
        fault = story_page.why_not_shown(origin, settings.public_url, slug) if slug else None
    word = "well" if fault is None else "ILL"
    _print("page", word, fault or PAGE_IS_WELL)
    return fault is None


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each provider in use."""
    gateway = open_gateway(settings)
    try:
        for name in settings.providers:
            yield _examine(settings, gateway, name)
    finally:
        gateway.close()


def _examine(settings: Settings, gateway: Gateway, name: str) -> Finding:
    try:
        provider = providers.load_provider(name)
    except LookupError as error:
        return Finding(name, False, f"NEWSZOP_PROVIDERS: {error}.")
    except ValidationError as error:
        line = explain(providers.settings_class(name), error)
        return Finding(name, False, f"{line}.")
    except CredentialRefused as refusal:
        return _read(name, refusal.verdict)
    gateway.open_pool(name, 1, provider.guard)
    answers: list[Answer] = []
    try:
        verdict = _ask(settings, gateway, provider, answers)
    except CredentialRefused as refusal:
        verdict = refusal.verdict
    if verdict is None:
        return Finding(name, True, "Its settings are in order; it has no server to ask.")
    return _check_clock(name, answers) or _read(name, verdict)


def _ask(
    settings: Settings, gateway: Gateway, provider: Provider, answers: list[Answer]
) -> Verdict | None:
    """Return what the provider makes of its probe; None when it has none."""
    now = datetime.now(UTC)
    if isinstance(provider, LimitsMints):
        # A token of the doctor's own would be one too many beside the one that is in use.
        credential = Credentials(settings, open_redis(settings.redis_url, REDIS_TIMEOUT_S)).obtain(
            provider, now
        )
    else:
        credential = _mint(gateway, provider, provider.credential(now), answers)
    probe = provider.probe(credential, now)
    if probe is None:
        return None
    answers.append(_send(gateway, provider, probe))
    return provider.read_answer(answers[-1], (0,))[0]


def _mint(
    gateway: Gateway,
    provider: Provider,
    minting: Generator[Request, Answer, Credential],
    answers: list[Answer],
) -> Credential:
    try:
        request = next(minting)
        while True:
            answers.append(_send(gateway, provider, request))
            request = minting.send(answers[-1])
    except StopIteration as ended:
        credential: Credential = ended.value
        return credential


def _send(gateway: Gateway, provider: Provider, request: Request) -> Answer:
    [(_, answer)] = gateway.send(provider.name, [request])
    return answer


def _read(name: str, verdict: Verdict) -> Finding:
    prefix = name.upper()
    match verdict:
        case SenderRejected(why=why):
            return Finding(name, False, why)
        case AlertRejected(why=why):
            return Finding(name, False, f"{why} The provider's rules may have changed.")
        case TryLater(why=why):
            return Finding(
                name,
                False,
                f"It does not answer as it should ({why}): check {prefix}_URL, the network and "
                "NEWSZOP_CA_FILE, or wait.",
            )
        case DeviceRefused(why=why):
            return Finding(
                name,
                False,
                f"It does not refuse the impossible address but something else ({why}): check all "
                f"settings that begin with {prefix}_.",
            )
        case Accepted() | DeviceGone():
            return Finding(name, True, "It lets us in.")
        case _:
            assert_never(verdict)


def _check_clock(name: str, answers: list[Answer]) -> Finding | None:
    """Return a finding if the provider's clock and ours differ, for tokens contain times."""
    headers = [answer.headers.get("date", "") for answer in answers]
    dates = [date for header in headers if (date := parse_http_date(header))]
    if not dates:
        return None
    skew = datetime.now(UTC) - dates[-1]
    if abs(skew) <= LARGEST_SKEW:
        return None
    word = "ahead of" if skew > timedelta(0) else "behind"
    seconds = abs(int(skew.total_seconds()))
    return Finding(
        name, False, f"This machine's clock is {seconds} s {word} the provider's: set the clock."
    )


if __name__ == "__main__":
    sys.exit(main())
