"""The limits on a request before anything reads it: bytes of its body, values in it, its head.

A body is parsed by the process's one event loop, which serves everybody, so a caller whom nobody
knows may send only what is parsed in about a millisecond. Stories may be large, once their sender
is known.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.errors import TooLarge, Unauthenticated
from service.http.problems import KINDS, Kind, problem

MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_BODY_BYTES = 64 * 1024
MAX_FORM_BYTES = 16 * 1024
MAX_VALUES = 4_000
MAX_STORY_VALUES = 400_000
MAX_QUERY_BYTES = 8 * 1024
MAX_QUERY_VALUES = 64
MAX_HEADER_BYTES = 32 * 1024
MAX_COOKIES = 256
STORY_PATHS = ("/api/stories", "/api/ingest", "/desk/stories", "/desk/sources")
"""Where a whole text may come in: below these a known caller may send `MAX_REQUEST_BYTES`."""
HOOK_PATHS = ("/api/hooks/", "/api/websub/")
MAX_HOOK_BYTES = 1024 * 1024
"""Nothing reads a signed delivery before its signature is found sound, by a thread."""
MEDIA_PATHS = ("/api/media", "/desk/pictures")
MAX_PICTURE_BYTES = 20 * 1024 * 1024
"""Nothing reads a picture before its sender is known; a thread decodes it."""
CLOSE_CONNECTION = {"Connection": "close"}
"""The rest of the request is not read, so its connection cannot be used again."""
LONG_QUERY = Kind(414, "long-query", "The address is too long", "The query is larger than we take.")
LONG_HEAD = Kind(431, "long-head", "The headers are too large", "They are larger than we take.")
_SEPARATOR = re.compile(rb"[,&]")
MOST_DIGITS = 1_000
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % MOST_DIGITS)
"""Reading a number costs the square of its digits."""
IsKnown = Callable[[Scope], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one body may have; `values` are its members, items and fields, None: it has none."""

    size: int
    values: int | None


ANYBODY = Allowance(MAX_BODY_BYTES, MAX_VALUES)
STRANGERS_FORM = Allowance(MAX_FORM_BYTES, MAX_VALUES)
HOOK = Allowance(MAX_HOOK_BYTES, MAX_STORY_VALUES)
STORY = Allowance(MAX_REQUEST_BYTES, MAX_STORY_VALUES)
STRANGERS_PICTURE = Allowance(MAX_BODY_BYTES, None)
PICTURE = Allowance(MAX_PICTURE_BYTES, None)


def allowances(path: str) -> tuple[Allowance, Allowance]:
    """Return what anybody may send to this path, and what a known caller may."""
    if path.startswith(HOOK_PATHS):
        return HOOK, HOOK
    if path.startswith(MEDIA_PATHS):
        return STRANGERS_PICTURE, PICTURE
    stranger = ANYBODY if path.startswith("/api/") else STRANGERS_FORM
    return stranger, STORY if path.startswith(STORY_PATHS) else ANYBODY


class LimitBody:
    """Refuses a larger request, by its `Content-Length` or by the bytes that arrive.

    The answer is 413, and 401 where a known caller could have sent as much.
    """

    def __init__(self, app: ASGIApp, is_known: IsKnown) -> None:
        self.app = app
        self.is_known = is_known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        long = long_head(scope)
        if long is not None:
            await problem(long, long.meaning, headers=CLOSE_CONNECTION)(scope, receive, send)
            return
        body = _Body(scope, self.is_known)
        try:
            await body.check_size(_content_length(scope))
        except HTTPException as refusal:
            kind = next(kind for kind in _REFUSALS if kind.status == refusal.status_code)
            answer = problem(kind, refusal.detail, headers=refusal.headers)
            await answer(scope, receive, send)
            return

        async def receive_and_count() -> Message:
            message = await receive()
            await body.count(message.get("body", b""))
            return message

        await self.app(scope, receive_and_count, send)


class _Body:
    """The body of one request as it arrives. Who sends it is looked up once it is large."""

    def __init__(self, scope: Scope, is_known: IsKnown) -> None:
        self.scope = scope
        self.is_known = is_known
        self.allowance, self.known_allowance = allowances(scope["path"])
        self.size = 0
        self.values = 0

    async def count(self, part: bytes) -> None:
        """Count a part; raises `HTTPException` when the body is too large."""
        if not part:
            return
        self.size += len(part)
        await self.check_size(self.size)
        if self.allowance.values is not None:
            await self._count_values(part)

    async def _count_values(self, part: bytes) -> None:
        self.values += sum(1 for _ in _SEPARATOR.finditer(part))
        if self._has_too_many_values():
            await self._raise_allowance()
        if _LONG_NUMBER.search(part):
            detail = f"A number has more than {MOST_DIGITS:,} digits."
            raise HTTPException(400, detail, CLOSE_CONNECTION)
        if self._has_too_many_values():
            raise _refusal(TooLarge, f"A request may have {self.allowance.values:,} values.")

    def _has_too_many_values(self) -> bool:
        most = self.allowance.values
        return most is not None and self.values > most

    async def check_size(self, size: int) -> None:
        """Raise `HTTPException` when so many bytes are too many."""
        if size > self.allowance.size:
            await self._raise_allowance()
        if size > self.allowance.size:
            raise _refusal(TooLarge, f"A request may have {self.allowance.size:,} bytes here.")

    async def _raise_allowance(self) -> None:
        """Give a known caller what it may send; refuse a stranger who might have sent as much."""
        if self.allowance == self.known_allowance:
            return
        if not await self.is_known(self.scope):
            raise _refusal(Unauthenticated, "Only a known caller may send so much here.")
        self.allowance = self.known_allowance


_REFUSALS = (KINDS[TooLarge], KINDS[Unauthenticated])


def _refusal(cls: type[TooLarge | Unauthenticated], detail: str) -> HTTPException:
    headers = dict(CLOSE_CONNECTION)
    if cls is Unauthenticated:
        headers["WWW-Authenticate"] = 'Bearer realm="newszop"'
    return HTTPException(KINDS[cls].status, detail, headers)


def is_small(body: bytes) -> bool:
    """Whether anybody may send this body: it has not too many bytes, values or digits."""
    if len(body) < MOST_DIGITS:
        return True
    values = body.count(b",") + body.count(b"&")
    return len(body) <= MAX_BODY_BYTES and values <= MAX_VALUES and not _LONG_NUMBER.search(body)


def long_head(scope: Scope) -> Kind | None:
    """Say which part of a request's head costs too much to read; None for a usual one."""
    query: bytes = scope["query_string"]
    if len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_QUERY_VALUES:
        return LONG_QUERY
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size = len(b"".join(chain.from_iterable(headers)))
    if size < MAX_COOKIES:
        return None
    cookies = sum(value.count(b";") for name, value in headers if name == b"cookie")
    return LONG_HEAD if size > MAX_HEADER_BYTES or cookies >= MAX_COOKIES else None


def _content_length(scope: Scope) -> int:
    """Return the request's `Content-Length`; 0 without a valid one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:19])
    return 0
