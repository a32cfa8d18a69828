"""The middleware that answers the hot calls and passes all others on.

A hot call is the usual form of a call that many make at once. What is unusual in any way - a body
that is wrong, a token that nobody has, an unknown topic - goes the ordinary path, through FastAPI,
which has every rule, limit and refusal. So there is one place for each sentence that a
caller may read, and a call is answered here only when all is well.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.errors import DATABASE_AWAY as SENTENCE
from service.domain.errors import Refusal, Unavailable
from service.hot.call import Answer, Call, OrdinaryPath
from service.http.problems import KINDS, problem
from service.store.session import DATABASE_AWAY

Handler = Callable[[Call], Awaitable[Answer]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """One call: its path as the OpenAPI document has it, and what answers it."""

    path: str
    answer: Handler
    has_body: bool = False


Routes = Mapping[tuple[str, str], Route]
"""By method and path; a path that ends with a slash stands for all below it."""


class HotCalls:
    """Answers what `routes` name; raises nothing of its own."""

    def __init__(self, app: ASGIApp, routes: Routes) -> None:
        self.app = app
        self.routes = routes
        self.prefixes = tuple(path for _, path in routes if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a hot call, or pass it on with the body that was read."""
        route = self._find(scope) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        await self._answer(route, scope, receive, send)

    async def _answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, dict(scope["headers"]))
        body = _ReadBody(receive)
        try:
            if route.has_body:
                call.body = await body.read()
            answer = await route.answer(call)
        except (OrdinaryPath, ValidationError, Refusal, HTTPException, *DATABASE_AWAY) as error:
            if isinstance(error, (Unavailable, *DATABASE_AWAY)):
                scope["route"] = route
                await _refuse(error, route)(scope, receive, send)
            else:
                await self.app(scope, body.replay, send)
            return
        scope["route"] = route
        for message in answer.messages():
            await send(message)

    def _find(self, scope: Scope) -> Route | None:
        method, path = scope["method"], scope["path"]
        route = self.routes.get((method, path))
        if route is not None:
            return route
        if path.startswith(self.prefixes):
            prefix = next(prefix for prefix in self.prefixes if path.startswith(prefix))
            return self.routes.get((method, prefix))
        return None


class _ReadBody:
    """A body that was read once and can be read again by the application behind."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []
        self._fault: HTTPException | None = None

    async def read(self) -> bytes:
        """Return the whole body; the limits on its size and time stand before us."""
        while True:
            try:
                message = await self._receive()
            except HTTPException as fault:
                self._fault = fault
                raise
            self._messages.append(message)
            if message["type"] != "http.request":
                raise OrdinaryPath
            if not message.get("more_body", False):
                return b"".join(part.get("body", b"") for part in self._messages)

    async def replay(self) -> Message:
        """Return what was read, part by part, and then what comes."""
        if self._messages:
            return self._messages.pop(0)
        if self._fault is not None:
            raise self._fault
        return await self._receive()


def _refuse(error: BaseException, route: Route) -> ASGIApp:
    if isinstance(error, Unavailable):
        detail, wait = error.detail, error.retry_after
    else:
        log.warning("Postgres did not answer", path=route.path, error=type(error).__name__)
        detail, wait = SENTENCE, Unavailable(SENTENCE).retry_after
    return problem(KINDS[Unavailable], detail, headers={"Retry-After": str(wait)})
