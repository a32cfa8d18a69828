"""Public pages during a rush: a breaking alert sends everyone to one page at once.

A page requested without a cookie is the same for everyone whose browser asks for the same of our
pages' languages. While it is requested more than `RUSH_PER_S` times a second, it is answered from
memory and is at most `MAX_AGE_S` old. Otherwise every request renders it again, so that nobody sees
what is no longer true. Shared caches in front of the site get the same rule in `Cache-Control`.
While it would have to wait for a slot, its last text is answered for up to `MAX_BUSY_AGE_S`, and
where it gets none, for up to `MAX_STALE_S`: strangers' floods close no page.

A page depends on its path, the parameters that it reads and its language, and on nothing else: what
social networks append to a link (`fbclid`) and the cookies of others have no say. Only our staff's
cookie has: a cache in front of the site must pass requests with it on.
"""

import gzip
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from fastapi import Request, Response

from service.domain.errors import Refusal, Unavailable
from service.http.admission import must_wait, run_admitted
from service.http.answer_headers import SECURITY_HEADERS
from service.http.encodings import accepts_gzip

RUSH_PER_S = 15
MAX_AGE_S = 1.0
MAX_STALE_S = 60.0
MAX_BUSY_AGE_S = 5.0
"""As long as shared caches keep a page (`s-maxage`)."""
MAX_PAGES = 256
MAX_BYTES = 64 * 1024 * 1024
"""Of all texts in memory, with their compressed forms. The least recently requested go first."""
MAX_PAGE_BYTES = MAX_BYTES // 8
MIN_GZIP_BYTES = 1024
VARY = "Accept-Encoding, Accept-Language"
"""What a page in the visitor's language depends on."""
PUBLIC = "public, max-age=0, s-maxage=5, stale-while-revalidate=30, stale-if-error=600"


_OK, _UNCHANGED = 200, 304


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

    @property
    def weight(self) -> int:
        """Bytes in memory."""
        return len(self.body) + len(self.gzipped)

    def respond(self, request: Request, vary: str = "Accept-Encoding") -> Response:
        """Return the response: 304 when the visitor already has this version."""
        headers = request.headers
        status, body, answer_headers = self.answer(
            headers.get("if-none-match", ""), headers.get("accept-encoding", ""), vary
        )
        media_type = None if status == _UNCHANGED else self.media_type
        return Response(body, status, answer_headers, media_type=media_type)

    def answer(
        self, if_none_match: str, accept_encoding: str, vary: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers for a visitor who sends these headers."""
        headers = {"Cache-Control": PUBLIC, "ETag": self.etag, "Vary": vary}
        if self.status == _OK and _matches(if_none_match, self.etag):
            return _UNCHANGED, b"", headers
        body = self.body
        if self.gzipped and accepts_gzip(accept_encoding):
            body = self.gzipped
            headers["Content-Encoding"] = "gzip"
        if self.media_type == "text/html":
            headers.update(SECURITY_HEADERS)
        return self.status, body, headers


def page_address(path: str, **parameters: str | None) -> str:
    """Return what a page is remembered by: its path and the parameters that it reads."""
    used = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(used)}"


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
    """When its rendering began last; the text itself is from `stored_at`."""
    stored_at: float = 0.0


@dataclass(slots=True)
class PageCache:
    """The public pages that one process answers from memory, bounded in number and in bytes."""

    clock: Callable[[], float] = time.monotonic
    weight: int = 0
    _entries: OrderedDict[str, _Entry] = field(default_factory=OrderedDict)

    def lookup(self, address: str) -> PublicText | None:
        """Return the page from memory if it is in a rush and fresh. Counts the request.

        When it is no longer fresh, one caller gets None and renders it again; the others still
        get the last version.
        """
        entry = self._entries.get(address)
        if entry is None:
            entry = self._entries[address] = _Entry()
            self._make_room()
        self._entries.move_to_end(address)
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

    def in_rush(self, address: str) -> PublicText | None:
        """Return the page from memory where `lookup` would, and count that; else count nothing."""
        entry = self._entries.get(address)
        if entry is None or entry.text is None or entry.requests <= RUSH_PER_S:
            return None
        now = self.clock()
        if int(now) != entry.second or now - entry.rendered_at > MAX_AGE_S:
            return None
        entry.requests += 1
        self._entries.move_to_end(address)
        return entry.text

    def last(self, address: str, max_age_s: float = MAX_STALE_S) -> PublicText | None:
        """Return the page's last text, for when no other can be had; None when it is too old."""
        entry = self._entries.get(address)
        if entry is None or entry.text is None:
            return None
        return entry.text if self.clock() - entry.stored_at <= max_age_s else None

    def store(self, address: str, text: PublicText) -> None:
        """Remember what was just rendered, unless it is too large."""
        entry = self._entries.get(address)
        if entry is None or text.weight > MAX_PAGE_BYTES:
            return
        self.weight += text.weight - (entry.text.weight if entry.text else 0)
        entry.text, entry.rendered_at = text, self.clock()
        entry.stored_at = entry.rendered_at
        self._make_room()

    def forget(self, address: str) -> None:
        """Forget a page that no longer exists."""
        entry = self._entries.pop(address, None)
        if entry is not None and entry.text is not None:
            self.weight -= entry.text.weight

    def _make_room(self) -> None:
        while len(self._entries) > MAX_PAGES or self.weight > MAX_BYTES:
            self.forget(next(iter(self._entries)))


async def current_text(
    request: Request, address: str, render: Callable[..., PublicText], *arguments: object
) -> PublicText:
    """Return the page at this address, from memory or rendered with a slot.

    Raises what `render` raises, and `Unavailable` where there is neither.
    """
    pages: PageCache = request.app.state.page_cache
    text = pages.lookup(address)
    if text is None and must_wait(request):
        text = pages.last(address, MAX_BUSY_AGE_S)
    if text is not None:
        return text
    try:
        text = await run_admitted(request, render, *arguments)
    except Unavailable:  # the page itself may still exist
        text = pages.last(address)
        if text is None:
            raise
        return text
    except Refusal:
        pages.forget(address)
        raise
    pages.store(address, text)
    return text
