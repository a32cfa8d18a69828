"""An OAuth 2.0 grant (RFC 6749): a request to a token server, its answer read as a credential."""

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from service.domain.verdict import SenderRejected, TryLater
from workers.provider import Answer, Credential, CredentialRefused, Request
from workers.provider_kit.answers import (
    LONGEST_DETAIL,
    as_error_code,
    is_success,
    parse_object,
    read_status,
)

RENEW_BEFORE_END = timedelta(minutes=5)
DEFAULT_LIFE_S = 3600
LONGEST_LIFE_S = 86_400
TRY_LATER_ERRORS = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})
"""Words of a token server that say nothing against us, whatever the status is."""


def bearer_headers(credential: Credential) -> Sequence[str]:
    """Return the headers of a JSON request that is authorized by the access token (RFC 6750)."""
    return (f"authorization: Bearer {credential.value}", "content-type: application/json")


def request_access_token(
    url: str, form: Mapping[str, str], now: datetime, *, server: str, advice: str
) -> Generator[Request, Answer, Credential]:
    """Request an access token, to be renewed five minutes before it ends.

    Raises `CredentialRefused`: with a TryLater if the server cannot be reached, else with a
    sentence that names the `server` and gives the `advice`.
    """
    answer = yield Request(
        url, ("content-type: application/x-www-form-urlencoded",), urlencode(form).encode()
    )
    grant = parse_object(answer.body)
    token = grant.get("access_token")
    if (
        is_success(answer.status)
        and isinstance(token, str)
        and token
        and token.isascii()
        and token.isprintable()
    ):
        life = _parse_life(grant.get("expires_in"))
        fresh_until = now + max(life - RENEW_BEFORE_END, life / 2)
        return Credential(token, minted_at=now, fresh_until=fresh_until)
    verdict = (
        None if is_success(answer.status) else read_status(answer, server, settings="its address")
    )
    if isinstance(verdict, TryLater):
        raise CredentialRefused(verdict)
    error = as_error_code(grant.get("error"))
    if error in TRY_LATER_ERRORS:
        raise CredentialRefused(TryLater(f"{server} answered {error}"))
    reason = error or (
        f"answer {answer.status}" if answer.status else answer.detail[:LONGEST_DETAIL]
    )
    raise CredentialRefused(
        SenderRejected(f"{server} gives us no access token ({reason}): {advice}.")
    )


def _parse_life(expires_in: object) -> timedelta:
    if isinstance(expires_in, int) and 0 < expires_in <= LONGEST_LIFE_S:
        return timedelta(seconds=expires_in)
    return timedelta(seconds=DEFAULT_LIFE_S)
