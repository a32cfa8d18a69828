"""Public pages in a rush: a breaking alert sends everyone to one page at once.

A page without a cookie is the same for everyone. While it is asked for more often than `RUSH`
times a second it is answered from memory, at most `FRESH_S` old; at rest every answer is made
anew, so that nobody ever sees what was true before. Shared caches in front are told the same.
"""

import gzip
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request, Response

from service.web.rendering import SECURITY_HEADERS

RUSH = 15
FRESH_S = 1.0
MOST_PAGES = 256
WORTH_PACKING = 1024
PUBLIC = "public, max-age=0, s-maxage=5, stale-while-revalidate=30, stale-if-error=600"


@dataclass(frozen=True, slots=True)
class Text:
    """A public answer's body, packed once, and the name of this version of it."""

    body: bytes
    packed: bytes
    etag: str
    media_type: str
    status: int = 200

    @classmethod
    def of(cls, text: str, media_type: str = "text/html", status: int = 200) -> "Text":
        """Return the text ready to be sent."""
        body = text.encode()
        packed = gzip.compress(body, 5, mtime=0) if len(body) > WORTH_PACKING else b""
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        return cls(body, packed, f'W/"{digest}"', media_type, status)

    def answer(self, request: Request, *, vary: str = "Cookie, Accept-Encoding") -> Response:
        """Answer with it, or with 304 when the visitor has this version already."""
        headers = {"Cache-Control": PUBLIC, "ETag": self.etag, "Vary": vary}
        known = request.headers.get("if-none-match", "")
        if self.status == 200 and _matches(known, self.etag):  # noqa: PLR2004 - HTTP's OK
            return Response(status_code=304, headers=headers)
        body = self.body
        if self.packed and "gzip" in request.headers.get("accept-encoding", ""):
            body = self.packed
            headers["Content-Encoding"] = "gzip"
        if self.media_type == "text/html":
            headers.update(SECURITY_HEADERS)
        return Response(body, self.status, headers, media_type=self.media_type)


def _matches(sent: str, etag: str) -> bool:
    bare = etag.removeprefix("W/")
    return any(
        one.strip() == "*" or one.strip().removeprefix("W/") == bare for one in sent.split(",")
    )


@dataclass(slots=True)
class _Asked:
    """How often one page was asked for in one second, and what was last answered."""

    second: int = 0
    times: int = 0
    text: Text | None = None
    made_at: float = 0.0


@dataclass(slots=True)
class HotPages:
    """The pages of one process that are asked for right now. Bounded."""

    clock: Callable[[], float] = time.monotonic
    _pages: dict[str, _Asked] = field(default_factory=dict)

    def find(self, address: str) -> Text | None:
        """Return the page from memory, if it is in a rush and fresh.

        Of those who come when it is no longer fresh, one is told None and makes it anew; the
        others still get the last one.
        """
        asked = self._pages.get(address)
        if asked is None:
            if len(self._pages) >= MOST_PAGES:
                self._pages.clear()
            asked = self._pages[address] = _Asked()
        now = self.clock()
        if int(now) != asked.second:
            hot = asked.second == int(now) - 1 and asked.times > RUSH
            asked.second, asked.times = int(now), RUSH if hot else 0
        asked.times += 1
        if asked.times <= RUSH or asked.text is None:
            return None
        if now - asked.made_at > FRESH_S:
            asked.made_at = now
            return None
        return asked.text

    def keep(self, address: str, text: Text) -> None:
        """Remember what was just made."""
        asked = self._pages.get(address)
        if asked is not None:
            asked.text, asked.made_at = text, self.clock()

    def drop(self, address: str) -> None:
        """Forget a page that is no more."""
        self._pages.pop(address, None)
