"""Each request is counted, timed, given an id, and if asked for written to the log.

The id is the caller's `X-Request-ID` where it is a plain word, else a new one. It stands in every
log line of the request, goes with its messages to the workers, and comes back in the answer.
"""

import random
import re
import time
from collections.abc import Coroutine
from typing import Any, Literal, cast

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.metrics import METHODS, Requests
from service.http.own_context import run_in_own_context
from service.tracing.spans import NO_SPAN, Span, is_tracing, start_span

UNROUTED = "(no route)"
HEADER = b"x-request-id"
ID = "newszop.request_id"
"""Where the id stands in the scope."""
FAULT = 500
READING = frozenset({"GET", "HEAD", "OPTIONS"})
TRACED = ("/api/stories", "/api/ingest", "/api/hooks", "/api/alerts", "/desk")
"""The beginnings of paths under which stories come in and alerts are sent."""
Call = Coroutine[Any, Any, None]
LogRequests = Literal["off", "failures", "all"]
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger()


class ObserveRequests:
    """Reports each request to `Requests` when its answer begins, so a stream counts as quick."""

    def __init__(self, app: ASGIApp, requests: Requests, log_requests: LogRequests) -> None:
        self.app = app
        self.requests = requests
        self.log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = time.perf_counter()
        request_id = identify(scope)
        status = 0

        async def count_and_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._count(scope, status, started_at)
                # a copy: what answers may keep its message for the next request
                headers = [*message.get("headers", ()), (HEADER, request_id)]
                message = {**message, "headers": headers}
            await send(message)

        scope[ID] = request_id.decode()
        span = _begin_span(scope)
        try:
            call = self.app(scope, receive, count_and_send)
            await run_in_own_context(cast("Call", call), span, request_id=scope[ID])
        except Exception:  # answered further out
            status = status or self._count(scope, FAULT, started_at)
            raise
        finally:
            _end_span(span, scope, status)
            self._write_line(scope, status, time.perf_counter() - started_at)

    def _count(self, scope: Scope, status: int, started_at: float) -> int:
        duration = time.perf_counter() - started_at
        self.requests.count(_method(scope), route_of(scope), status, duration)
        return status

    def _write_line(self, scope: Scope, status: int, seconds: float) -> None:
        """Write method, route, status and time, and nothing that names a person.

        Status 0: the caller went away before there was an answer.
        """
        if self.log_requests == "off" or (self.log_requests == "failures" and status < FAULT):
            return
        write = log.info if self.log_requests == "all" else log.warning
        milliseconds = round(seconds * 1000, 1)
        write(
            "request",
            method=_method(scope),
            route=route_of(scope),
            status=status,
            ms=milliseconds,
            request_id=scope[ID],
        )


def identify(scope: Scope) -> bytes:
    """Return the request's id: the caller's if it is a plain word, else a new one."""
    return identify_by(dict(scope["headers"]).get(HEADER, b""))


def identify_by(name: bytes) -> bytes:
    """Return the id by what the caller sent: a plain word, else a new one."""
    if _SANE.fullmatch(name):
        return name
    return b"%016x" % random.getrandbits(64)


def route_of(scope: Scope) -> str:
    """Return the pattern of the path, which holds no id and no token of a caller."""
    return str(getattr(scope.get("route"), "path", UNROUTED))


def _begin_span(scope: Scope) -> Span:
    """Begin the span of a request that may lead to an alert; the others have none.

    A `traceparent` of the caller is not taken over: anybody could make us trace every request.
    """
    if not is_tracing() or scope["method"] in READING or not scope["path"].startswith(TRACED):
        return NO_SPAN
    attributes = {"http.request.method": _method(scope), "newszop.request_id": scope[ID]}
    return start_span(f"{_method(scope)} request", attributes)


def _end_span(span: Span, scope: Scope, status: int) -> None:
    if span is not NO_SPAN:
        span.rename(f"{_method(scope)} {route_of(scope)}")
        span.note({"http.route": route_of(scope), "http.response.status_code": status})
        if status >= FAULT:
            span.fail(str(status))
        span.end()


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in METHODS else "other"
