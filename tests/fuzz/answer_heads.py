"""What every answer of ours has in its head, whatever it is about and whoever gets it."""

from collections.abc import Mapping

import httpx

ALWAYS = ("strict-transport-security", "x-content-type-options", "x-request-id")
OF_PAGES = ("referrer-policy", "permissions-policy", "cross-origin-opener-policy")
CREDENTIALS = frozenset({"authorization", "cookie", "x-csrf-token"})
PUBLIC = "public"


def head_faults(answer: httpx.Response) -> list[str]:
    """Return what is missing in an answer's head."""
    headers = answer.headers
    names = list(ALWAYS)
    kind = headers.get("content-type", "")
    if kind.startswith("text/html"):
        names += ["content-security-policy", *OF_PAGES]
    if "json" in kind or "xml" in kind:
        names.append("content-security-policy")
    if answer.status_code == 405:
        names.append("allow")
    faults = [f"no {name}" for name in names if name not in headers]
    if "set-cookie" in headers and is_storable(answer):
        faults.append("a cookie that a cache may keep")
    return faults


def has_credentials(headers: Mapping[str, str]) -> bool:
    return not CREDENTIALS.isdisjoint(name.lower() for name in headers)


def is_storable(answer: httpx.Response) -> bool:
    """Whether a cache may keep the answer: it is not told otherwise (RFC 9111, section 3)."""
    return "no-store" not in answer.headers.get("cache-control", "")


def differs(answer: httpx.Response, plain: httpx.Response) -> bool:
    """Whether an answer says anything else than the one to the same request of nobody."""
    return (answer.status_code, answer.content) != (plain.status_code, plain.content)
