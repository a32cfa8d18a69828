"""The head of a hot call's answer: what the middlewares would have made of it, made once."""

from typing import Any

from starlette.datastructures import MutableHeaders

from service.hot.call import Answer, Headers
from service.http import answer_headers, cross_origin, observed_requests

MAX_HEADS = 1024


class AnswerHeads:
    """Heads by what they depend on; bounded."""

    def __init__(self, *, is_https: bool) -> None:
        self._is_https = is_https
        self._heads: dict[tuple[Any, ...], Headers] = {}

    def start(
        self, answer: Answer, request_id: bytes, *, has_credentials: bool, site: str | None
    ) -> dict[str, object]:
        """Return how the answer starts in ASGI; `site` as in `complete`."""
        key = (bool(answer.body), answer.content_type, answer.headers, has_credentials, site)
        rest = self._heads.get(key)
        if rest is None:
            content = ((b"content-type", answer.content_type),) if answer.body else ()
            start = {"headers": [*content, *answer.headers]}
            self.complete(MutableHeaders(scope=start), has_credentials=has_credentials, site=site)
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            rest = self._heads[key] = tuple(start["headers"])
        length = ((b"content-length", b"%d" % len(answer.body)),) if answer.body else ()
        headers = [*length, *rest, (observed_requests.HEADER, request_id)]
        return {"type": "http.response.start", "status": answer.status, "headers": headers}

    def complete(self, headers: MutableHeaders, *, has_credentials: bool, site: str | None) -> None:
        """Add what every answer has, and what lets a listed site read it.

        `site` is None where the request names no origin, and an empty text for one not listed.
        """
        answer_headers.complete(headers, is_https=self._is_https, has_credentials=has_credentials)
        if site is not None:
            cross_origin.mark(headers, site)
