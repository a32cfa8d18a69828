"""An OAuth 2.0 grant: one request to a token server, and its answer read as a credential."""

from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from service.domain.verdict import SenderRejected, TryLater
from workers.provider import Answer, Credential, CredentialRefused, Request
from workers.provider_kit.answers import as_word, is_success, parse_object, read_status

EARLY = timedelta(minutes=5)
USUAL_LIFE_S = 3600
LONGEST_LIFE_S = 86_400


def access_token(
    url: str, form: Mapping[str, str], now: datetime, *, server: str, advice: str
) -> Generator[Request, Answer, Credential]:
    """Ask for an access token, to be renewed five minutes before it ends.

    Raises `CredentialRefused`: with a TryLater when the server is away, else with a sentence that
    names the `server` and gives the `advice`.
    """
    answer = yield Request(
        url, ("content-type: application/x-www-form-urlencoded",), urlencode(form).encode()
    )
    told = parse_object(answer.body)
    token = told.get("access_token")
    if is_success(answer.status) and isinstance(token, str) and token and token.isprintable():
        life = _life(told.get("expires_in"))
        return Credential(token, minted_at=now, fresh_until=now + max(life - EARLY, life / 2))
    found = None if is_success(answer.status) else read_status(answer, server)
    if isinstance(found, TryLater):
        raise CredentialRefused(found)
    reason = as_word(told.get("error")) or f"answer {answer.status}"
    raise CredentialRefused(
        SenderRejected(f"{server} gives us no access token ({reason}): {advice}.")
    )


def _life(told: object) -> timedelta:
    known = isinstance(told, int) and 0 < told <= LONGEST_LIFE_S
    return timedelta(seconds=told if known and isinstance(told, int) else USUAL_LIFE_S)
