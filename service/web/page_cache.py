"""Public pages during a rush: a breaking alert sends everyone to one page at once.

A page requested without a cookie is the same for everyone. While it is requested more than
`RUSH_PER_S` times a second, it is answered from memory and is at most `MAX_AGE_S` old. Otherwise
every request renders it again, so that nobody sees what is no longer true. Shared caches in front
of the site get the same rule in `Cache-Control`.
"""

import gzip
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request, Response

from service.http.answer_headers import SECURITY_HEADERS
from service.http.encodings import accepts_gzip

RUSH_PER_S = 15
MAX_AGE_S = 1.0
MAX_PAGES = 256
MIN_GZIP_BYTES = 1024
PUBLIC = "public, max-age=0, s-maxage=5, stale-while-revalidate=30, stale-if-error=600"


@dataclass(frozen=True, slots=True)
class PublicText:
    """The body of a public response, compressed once, and the entity tag of this version."""

    body: bytes
    gzipped: bytes
    etag: str
    media_type: str
    status: int = 200

    @classmethod
    def of(cls, text: str, media_type: str = "text/html", status: int = 200) -> "PublicText":
        """Return the text ready to be sent."""
        body = text.encode()
        gzipped = gzip.compress(body, 5, mtime=0) if len(body) > MIN_GZIP_BYTES else b""
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        return cls(body, gzipped, f'W/"{digest}"', media_type, status)

    def respond(self, request: Request, *, vary: str = "Cookie, Accept-Encoding") -> Response:
        """Return the response: 304 when the visitor already has this version."""
        headers = {"Cache-Control": PUBLIC, "ETag": self.etag, "Vary": vary}
        visitor_tags = request.headers.get("if-none-match", "")
        if self.status == 200 and _matches(visitor_tags, self.etag):  # noqa: PLR2004 - HTTP's OK
            return Response(status_code=304, headers=headers)
        body = self.body
        if self.gzipped and accepts_gzip(request.headers.get("accept-encoding", "")):
            body = self.gzipped
            headers["Content-Encoding"] = "gzip"
        if self.media_type == "text/html":
            headers.update(SECURITY_HEADERS)
        return Response(body, self.status, headers, media_type=self.media_type)


def _matches(if_none_match: str, etag: str) -> bool:
    bare = etag.removeprefix("W/")
    tags = (tag.strip() for tag in if_none_match.split(","))
    return any(tag == "*" or tag.removeprefix("W/") == bare for tag in tags)


@dataclass(slots=True)
class _Entry:
    """How often one page was requested within one second, and its last text."""

    second: int = 0
    requests: int = 0
    text: PublicText | None = None
    rendered_at: float = 0.0


@dataclass(slots=True)
class PageCache:
    """The public pages that one process answers from memory, at most `MAX_PAGES` of them."""

    clock: Callable[[], float] = time.monotonic
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def lookup(self, address: str) -> PublicText | None:
        """Return the page from memory if it is in a rush and fresh. Counts the request.

        When it is no longer fresh, one caller gets None and renders it again; the others still
        get the last version.
        """
        entry = self._entries.get(address)
        if entry is None:
            if len(self._entries) >= MAX_PAGES:
                self._entries.clear()
            entry = self._entries[address] = _Entry()
        now = self.clock()
        if int(now) != entry.second:
            rush = entry.second == int(now) - 1 and entry.requests > RUSH_PER_S
            entry.second, entry.requests = int(now), RUSH_PER_S if rush else 0
        entry.requests += 1
        if entry.requests <= RUSH_PER_S or entry.text is None:
            return None
        if now - entry.rendered_at > MAX_AGE_S:
            entry.rendered_at = now
            return None
        return entry.text

    def store(self, address: str, text: PublicText) -> None:
        """Remember what was just rendered."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.text, entry.rendered_at = text, self.clock()

    def forget(self, address: str) -> None:
        """Forget a page that no longer exists."""
        self._entries.pop(address, None)
