"""Pages in a rush, which an alert begins: from memory, as the ordinary path answers them."""

from functools import lru_cache

from service.hot.call import Answer, Call, Headers, OrdinaryPath
from service.http.auth import STAFF_COOKIE
from service.web.page_cache import VARY, PageCache, page_address
from service.web.page_language import first_language

_STAFF = STAFF_COOKIE.encode()
_HTML = b"text/html; charset=utf-8"


class PageCalls:
    """Answers for pages that everyone may see."""

    def __init__(self, pages: PageCache) -> None:
        self._pages = pages

    async def show_front(self, call: Call) -> Answer:
        """Show the front page; its query may ask for older stories."""
        if b"before" in call.scope["query_string"]:
            raise OrdinaryPath
        return self._show(call)

    async def show_story(self, call: Call) -> Answer:
        """Show a story's page, which reads nothing of its query."""
        return self._show(call)

    def _show(self, call: Call) -> Answer:
        """Show the page as it was at most a second ago, while very many ask for it."""
        headers = call.headers
        if _STAFF in headers.get(b"cookie", b"") or b"origin" in headers:
            raise OrdinaryPath
        language = first_language(_text(headers.get(b"accept-language", b"")))
        text = self._pages.in_rush(page_address(call.scope["path"], page_language=language))
        if text is None:
            raise OrdinaryPath
        if_none_match = _text(headers.get(b"if-none-match", b""))
        accept_encoding = _text(headers.get(b"accept-encoding", b""))
        status, body, answer_headers = text.answer(if_none_match, accept_encoding, VARY)
        return Answer(status, body, _encode(tuple(answer_headers.items())), _HTML)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


@lru_cache(256)
def _encode(headers: tuple[tuple[str, str], ...]) -> Headers:
    return tuple((name.lower().encode(), value.encode()) for name, value in headers)
