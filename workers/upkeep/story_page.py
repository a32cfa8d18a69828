"""Whether a story's page can be read: asked before a scheduled alert leaves, and by the doctor."""

import time
from urllib.parse import urlsplit

import httpx

TIMEOUT_S = 2.0
"""For one request; the redirects of one check share `WHOLE_S`."""
WHOLE_S = 4.0
MOST_REDIRECTS = 5
STORIES = "/stories/"
PASSWORD_ASKED = frozenset({401, 403, 407})


def why_not_shown(page_origin: str, public_url: str, slug: str) -> str | None:
    """Return None when a reader who taps the alert finds the story, else a sentence that says why.

    Redirects are followed within our own site, which is the host of either address, and must end at
    a story's page: a login that answers 200 is none.
    """
    address = f"{page_origin}{STORIES}{slug}"
    hosts = {urlsplit(origin).hostname for origin in (page_origin, public_url)}
    deadline = time.monotonic() + WHOLE_S
    try:
        for _ in range(MOST_REDIRECTS + 1):
            status, target = _ask(address)
            if target is None:
                return _judge(address, status)
            if httpx.URL(target).host not in hosts:
                return f"The story's page leads to another site: {_place(target)}."
            if time.monotonic() > deadline:
                return f"The story's page takes longer than {WHOLE_S:.0f} s."
            address = target
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"The story's page at {_place(address)} does not answer: {type(error).__name__}."
    return f"The story's page leads from one address to the next, more than {MOST_REDIRECTS} times."


def _ask(address: str) -> tuple[int, str | None]:
    """Return the status, and where the answer leads when it is a redirect."""
    with httpx.stream("GET", address, timeout=TIMEOUT_S, trust_env=False) as answer:
        if answer.has_redirect_location:
            return answer.status_code, str(answer.url.join(answer.headers["location"]))
        return answer.status_code, None


def _judge(address: str, status: int) -> str | None:
    if status in PASSWORD_ASKED:
        return f"The story's page at {_place(address)} asks for a password ({status})."
    if status != httpx.codes.OK:
        return f"The story's page at {_place(address)} answers {status}."
    if not urlsplit(address).path.startswith(STORIES):
        return f"The story's page leads to {_place(address)}, which is no story."
    return None


def _place(address: str) -> str:
    """Return an address without what may be secret in it: its user and its query."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"[:300]
