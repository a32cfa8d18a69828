"""The mark of a browser in which somebody has signed in before: a signed cookie that says to what.

A browser without one is a stranger's. What strangers do at the login is bounded for all of them
together, so it is the mark that lets an editor in while they do their worst.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from itsdangerous import BadSignature, TimestampSigner

BROWSER_COOKIE = "newszop_browser"
BROWSER_PATH = "/login"
"""The browser sends the cookie to no other address."""
BROWSER_LIFETIME_S = 180 * 86_400


class KnownBrowser(NamedTuple):
    """The account that a browser has signed in to, and the name of this browser."""

    account: str
    name: str


def mark_browser(account: str, signing_secrets: Sequence[bytes]) -> str:
    """Return the cookie of a browser that has just signed in to the account."""
    value = f"{account}.{secrets.token_urlsafe(9)}"
    return _signer(signing_secrets).sign(value).decode()


def read_mark(cookie: str, signing_secrets: Sequence[bytes]) -> KnownBrowser | None:
    """Return whose browser this is; None without a mark of ours, or with one that is too old."""
    try:
        value = _signer(signing_secrets).unsign(cookie, max_age=BROWSER_LIFETIME_S).decode()
    except BadSignature:
        return None
    account, _, name = value.partition(".")
    return KnownBrowser(account, name)


def _signer(signing_secrets: Sequence[bytes]) -> TimestampSigner:
    return TimestampSigner(signing_secrets[::-1], salt="known browser")
