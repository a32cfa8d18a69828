"""How often somebody may try to sign in: by account and by address, never for everybody at once.

A browser that has signed in to an account before carries a signed cookie that says so, and its
tries are counted alone: however many strangers guess, from whatever address, the editor's own
browser still gets in. Others are counted by the account with their address, and their failures by
the account and by the address. The address of this machine says nothing about the caller where it
is a proxy that nobody told us of, so it has no limit of its own; behind a proxy that was named it
has one, since a caller can come to count as its proxy by what it writes (`forwarded.py`).
"""

import hashlib
from dataclasses import dataclass

from fastapi import Request, Response

from service.domain.errors import TooMany
from service.http.dependencies import counted_caller, is_loopback
from service.http.forwarded import is_trusted
from service.http.limits.known_browsers import (
    BROWSER_COOKIE,
    BROWSER_LIFETIME_S,
    BROWSER_PATH,
    mark_browser,
    read_mark,
)
from service.http.limits.rate_limit import Throttle
from service.settings import Settings

TRIES_PER_MINUTE = 10
"""For one account, from one address or from one known browser."""
FAILURES_PER_MINUTE = 30
"""For one account from all unknown browsers, and for one address with all accounts."""
CODES_PER_MINUTE = 5
"""For one account; `second_factor.MOST_FAILURES` bounds them for good."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try with a password; `failures` are what a wrong one is counted by."""

    throttle: Throttle
    failures: tuple[tuple[str, str], ...]

    def count_failure(self) -> None:
        """Count a wrong password."""
        for action, key in self.failures:
            self.throttle.hit(action, key, FAILURES_PER_MINUTE)


def begin_attempt(request: Request, settings: Settings, email: str) -> Attempt:
    """Count a try to sign in; raises `TooMany` when there were too many of its kind."""
    throttle: Throttle = request.app.state.throttle
    account = account_name(email)
    browser = read_mark(request.cookies.get(BROWSER_COOKIE, ""), settings.signing_secrets)
    if browser is not None and browser.account == account:
        _refuse(throttle.hit("sign-in browser", f"{account} {browser.name}", TRIES_PER_MINUTE))
        return Attempt(throttle, ())
    address = counted_caller(request)
    failures = [("sign-in account", account)]
    if not is_loopback(address) or is_trusted(address, settings.trusted_proxies):
        failures.append(("sign-in address", address))
    for action, key in failures:
        _refuse(throttle.wait(action, key, FAILURES_PER_MINUTE))
    _refuse(throttle.hit("sign-in", f"{account} {address}", TRIES_PER_MINUTE))
    return Attempt(throttle, tuple(failures))


def begin_code_attempt(request: Request, staff_id: int) -> None:
    """Count a try with a one-time code, by the account alone: the password was right."""
    throttle: Throttle = request.app.state.throttle
    _refuse(throttle.hit("sign-in code", str(staff_id), CODES_PER_MINUTE))


def remember_browser(response: Response, settings: Settings, email: str, *, secure: bool) -> None:
    """Let this browser's later tries for this account be counted alone."""
    response.set_cookie(
        BROWSER_COOKIE,
        mark_browser(account_name(email), settings.signing_secrets),
        max_age=BROWSER_LIFETIME_S,
        path=BROWSER_PATH,
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def account_name(email: str) -> str:
    """Return an account's key: bounded, and no address of a person in Redis or a log."""
    return hashlib.sha256(email.strip().casefold().encode()).hexdigest()[:32]


def _refuse(wait: int | None) -> None:
    if wait is not None:
        raise TooMany("Too many attempts to sign in. Wait a minute.", wait)
