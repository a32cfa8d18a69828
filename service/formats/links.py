"""Addresses in a story: made absolute, and safe to put on a page served over https."""

import re
from urllib.parse import urljoin, urlsplit, urlunsplit

from service.domain.media.pictures import is_own_path
from service.formats.text import clean_text

MAX_URL = 2048
_BLANK = re.compile(r"[\t\n\r]")
_UNSAFE = re.compile(r"[\s<>\"\\^`{|}\x00-\x20\x7f]")
_ORDINARY = re.compile(r"https?://[a-z0-9.-]{3,200}/[A-Za-z0-9/._~%&=+,:;@-]{0,1500}", re.ASCII)
"""Absolute and in one spelling already, as nearly all are: nothing to take apart."""

_TRACKING = re.compile(r"(?:utm_[a-z]+|fbclid|gclid|mc_cid|mc_eid)=[^&]*&?")


def absolute_link(address: str, base: str | None) -> str | None:
    """Return an absolute http or https address, resolved against `base`; None if it is none.

    Spaces at the ends and line breaks go, as a browser drops them (WHATWG URL, 4.4); spaces inside
    are escaped.
    """
    if _ORDINARY.fullmatch(address):
        return address
    text = _BLANK.sub("", clean_text(address)).strip()
    if not text or len(text) > MAX_URL:
        return None
    try:
        link = urljoin(base or "", text.replace(" ", "%20"))
        parts = urlsplit(link)
        host = parts.hostname or ""
        sound = parts.scheme in ("http", "https") and bool(host) and "%" not in host
        sound = sound and parts.port != 0
    except ValueError:
        return None
    if not sound or parts.username is not None or len(link) > MAX_URL or _UNSAFE.search(link):
        return None
    return urlunsplit(parts)


def picture_address(address: str, base: str | None) -> str | None:
    """Return a picture's absolute https address, or a path of ours; None if it has neither.

    Without a `base` the sender is on our own pages, and may name our own pictures by their paths.
    A page served over https shows no picture over http, so http becomes https. An address with a
    port of its own cannot be upgraded and is refused.
    """
    if base is None and is_own_path(address):
        return address
    link = absolute_link(address, base)
    if link is None or link.startswith("https:"):
        return link
    parts = urlsplit(link)
    if parts.port not in (None, 80):
        return None
    return urlunsplit(parts._replace(scheme="https", netloc=parts.netloc.removesuffix(":80")))


def identity_of(link: str) -> str:
    """Return a link as a story's name: without fragment and campaign parameters."""
    parts = urlsplit(link)
    query = _TRACKING.sub("", parts.query).rstrip("&")
    return urlunsplit(parts._replace(query=query, fragment=""))


def host_of(link: str) -> str:
    """Return the host in lower case without `www.`, empty where there is none."""
    try:
        return (urlsplit(link).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
