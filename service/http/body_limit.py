"""The limits on a request before anything reads it: bytes of its body, values in it, its head.

A body is parsed by the process's one event loop, which serves everybody, so a caller whom nobody
knows may send only what is parsed in about a millisecond. Stories may be large, once their sender
is known.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.errors import TooLarge, Unauthenticated, Unavailable
from service.http.limits.body_memory import BodyMemory, HeldBody
from service.http.problems import KINDS, Kind, problem

MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_BODY_BYTES = 64 * 1024
MAX_FORM_BYTES = 16 * 1024
MAX_VALUES = 2_500
MAX_FORM_VALUES = 256
MAX_STORY_VALUES = 200_000
MAX_STORY_TEXTS = 4_000
MAX_DOCUMENT_TEXTS = 100_000
MAX_PATH = 2048
MAX_QUERY_BYTES = 8 * 1024
MAX_QUERY_VALUES = 64
MAX_HEADER_BYTES = 32 * 1024
MAX_HEADER_VALUES = 256
"""Items of all lists, and their parameters, in headers but cookies."""
MAX_COOKIES = 256
OWN_COOKIES = b"newszop_"
"""How the names of all our cookies begin."""
DOCUMENT_PATH = "/api/ingest"
STORY_PATHS = ("/api/stories", "/desk/stories", "/desk/sources")
"""Where a whole text may come in: below these a known caller may send `MAX_REQUEST_BYTES`."""
HOOK_PATHS = ("/api/hooks/", "/api/websub/")
MAX_HOOK_BYTES = 1024 * 1024
"""Nothing reads a signed delivery before its signature is found sound, by a thread."""
MAX_PARTS = 1_000
"""Parts in which a body may arrive, beside one for each `SMALL_PART`: each costs 50 us and more."""
SMALL_PART = 256
MEDIA_PATHS = ("/api/media", "/desk/pictures")
MAX_PICTURE_BYTES = 20 * 1024 * 1024
"""Nothing reads a picture before its sender is known; a thread decodes it."""
CLOSE_CONNECTION = {"Connection": "close"}
"""The rest of the request is not read, so its connection cannot be used again."""
LONG_QUERY = Kind(414, "long-query", "The address is too long", "It is larger than we take.")
LONG_HEAD = Kind(431, "long-head", "The headers are too large", "They are larger than we take.")
_SEPARATORS = (b",", b"&", b"\r")
"""Between the members and items of JSON, the fields of a form, and the lines of its parts."""
MOST_DIGITS = 1_000
_LONG_NUMBER = b"0" * MOST_DIGITS
"""Reading a number costs the square of its digits, and so does a pattern for so many of them."""
_DIGITS = bytes(ord("0") if chr(code) in "0123456789" else 0 for code in range(256))
IsKnown = Callable[[Scope], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one body may have; `values` are its members, items and fields, None: it has none.

    A story's commas count as well, so its `values` say little: `texts` are JSON's names and texts.
    """

    size: int
    values: int | None
    texts: int = MAX_STORY_TEXTS


ANYBODY = Allowance(MAX_BODY_BYTES, MAX_VALUES)
STRANGERS_FORM = Allowance(MAX_FORM_BYTES, MAX_FORM_VALUES)
HOOK = Allowance(MAX_HOOK_BYTES, MAX_STORY_VALUES, MAX_DOCUMENT_TEXTS)
STORY = Allowance(MAX_REQUEST_BYTES, MAX_STORY_VALUES)
DOCUMENT = Allowance(MAX_REQUEST_BYTES, MAX_STORY_VALUES, MAX_DOCUMENT_TEXTS)
STRANGERS_PICTURE = Allowance(MAX_BODY_BYTES, None)
PICTURE = Allowance(MAX_PICTURE_BYTES, None)


def allowances(path: str) -> tuple[Allowance, Allowance]:
    """Return what anybody may send to this path, and what a known caller may."""
    if path.startswith(HOOK_PATHS):
        return HOOK, HOOK
    if path.startswith(MEDIA_PATHS):
        return STRANGERS_PICTURE, PICTURE
    stranger = ANYBODY if path.startswith("/api/") else STRANGERS_FORM
    if path.startswith(DOCUMENT_PATH):
        return stranger, DOCUMENT
    return stranger, STORY if path.startswith(STORY_PATHS) else ANYBODY


class LimitBody:
    """Refuses a larger request, by its `Content-Length` or by the bytes that arrive.

    The answer is 413, and 401 where a known caller could have sent as much.
    """

    def __init__(self, app: ASGIApp, is_known: IsKnown) -> None:
        self.app = app
        self.is_known = is_known
        self.memory = BodyMemory()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        long = long_head(scope)
        if long is not None:
            await problem(long, long.meaning, headers=CLOSE_CONNECTION)(scope, receive, send)
            return
        body = _Body(scope, self.is_known, HeldBody(self.memory))
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

        try:
            await self.app(scope, receive_and_count, send)
        finally:
            body.memory.release()


class _Body:
    """The body of one request as it arrives. Who sends it is looked up once it is large."""

    def __init__(self, scope: Scope, is_known: IsKnown, memory: HeldBody) -> None:
        self.scope = scope
        self.memory = memory
        self.is_known = is_known
        self.has_known_caller = False
        self.allowance, self.known_allowance = allowances(scope["path"])
        self.is_json = b"json" in _header(scope, b"content-type").lower()
        self.size = self.parts = self.values = self.quotes = 0

    async def count(self, part: bytes) -> None:
        """Count a part; raises `HTTPException` when the body is too large."""
        if not part:
            return
        self.size += len(part)
        self.parts += 1
        await self.check_size(self.size)
        if self.parts > MAX_PARTS + self.size // SMALL_PART:
            raise _refusal(TooLarge, "The body comes in too many small parts.")
        if not await self._has_room():
            raise _refusal(Unavailable, "Too many large bodies arrive just now.")
        if self.allowance.values is not None:
            await self._count_values(part)

    async def _has_room(self) -> bool:
        """Whether the process has room for the body; who sends it is looked up when it is full."""
        if self.memory.hold(self.size, is_known=self.has_known_caller):
            return True
        if self.has_known_caller or not await self.is_known(self.scope):
            return False
        self.has_known_caller = True
        return self.memory.hold(self.size, is_known=True)

    async def _count_values(self, part: bytes) -> None:
        self.values += count_separators(part)
        if self.is_json:
            self.quotes += part.count(b'"') - part.count(b'\\"')
        if self._has_too_many_values():
            await self._raise_allowance()
        if has_long_number(part):
            detail = f"A number has more than {MOST_DIGITS:,} digits."
            raise HTTPException(400, detail, CLOSE_CONNECTION)
        if self._has_too_many_values():
            values, texts = self.allowance.values or 0, self.allowance.texts
            detail = f"A request may have {values:,} values, and {texts:,} names and texts, here."
            raise _refusal(TooLarge, detail)

    def _has_too_many_values(self) -> bool:
        most = self.allowance.values
        if most is None:
            return False
        return self.values > most or self.quotes > 2 * self.allowance.texts

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
        self.allowance, self.has_known_caller = self.known_allowance, True


_REFUSALS = (KINDS[TooLarge], KINDS[Unauthenticated])
_CLOSE_AND_WAIT = CLOSE_CONNECTION | {"Retry-After": "2"}


def _refusal(cls: type[TooLarge | Unauthenticated | Unavailable], detail: str) -> HTTPException:
    headers = dict(_CLOSE_AND_WAIT if cls is Unavailable else CLOSE_CONNECTION)
    if cls is Unauthenticated:
        headers["WWW-Authenticate"] = 'Bearer realm="newszop"'
    return HTTPException(KINDS[cls].status, detail, headers)


def is_small(body: bytes) -> bool:
    """Whether anybody may send this body: it has not too many bytes, values or digits."""
    if len(body) < MOST_DIGITS:
        return True
    if len(body) > MAX_BODY_BYTES or count_separators(body) > MAX_VALUES:
        return False
    return not has_long_number(body)


def has_long_number(text: bytes) -> bool:
    """Whether a text has `MOST_DIGITS` digits in a row."""
    return _LONG_NUMBER in text.translate(_DIGITS)


def count_separators(text: bytes) -> int:
    """Return about how many members, items or fields a text has, and seldom fewer."""
    return sum(map(text.count, _SEPARATORS))


def long_head(scope: Scope) -> Kind | None:
    """Say which part of a request's head costs too much to read; None for a usual one."""
    query: bytes = scope["query_string"]
    if len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_QUERY_VALUES:
        return LONG_QUERY
    if len(scope["path"]) > MAX_PATH:
        return LONG_QUERY
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    text = b"".join(chain.from_iterable(headers))
    if len(text) > MAX_HEADER_BYTES:
        return LONG_HEAD
    values = text.count(b",") + text.count(b";")
    return LONG_HEAD if values >= MAX_COOKIES and _has_too_many_items(headers, values) else None


def _has_too_many_items(headers: list[tuple[bytes, bytes]], values: int) -> bool:
    """Whether there are too many cookies, or too many items of other lists."""
    cookies = b"".join(value for name, value in headers if name == b"cookie")
    items = values - cookies.count(b",") - cookies.count(b";")
    return cookies.count(b";") >= MAX_COOKIES or items > MAX_HEADER_VALUES


def with_own_cookies(scope: Scope) -> Scope:
    """Return the request without the cookies of others on the same host, which nothing here reads.

    Python takes the square of a quoted cookie's length to read its escapes: no cookie of ours has
    any.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if all(name != b"cookie" for name, _ in headers):
        return scope
    pairs = [(name, _own_cookies(v) if name == b"cookie" else v) for name, v in headers]
    return {**scope, "headers": pairs}


def _own_cookies(cookies: bytes) -> bytes:
    """Return our cookies of a header; of one that has too many all, for `long_head` to refuse."""
    if cookies.count(b";") >= MAX_COOKIES:
        return cookies
    parts = (part.strip() for part in cookies.split(b";"))
    return b"; ".join(p for p in parts if p.startswith(OWN_COOKIES) and b"\\" not in p)


def _content_length(scope: Scope) -> int:
    """Return the request's `Content-Length`; 0 without a valid one."""
    length = _header(scope, b"content-length")
    return int(length[:19]) if length.isdigit() else 0


def _header(scope: Scope, name: bytes) -> bytes:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value for header, value in headers if header == name), b"")
