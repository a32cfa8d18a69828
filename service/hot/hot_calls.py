"""What stands in front of FastAPI: it answers the hot calls and passes all others on.

A hot call is the usual form of a call that many make at once. What is unusual in any way - a body
that is wrong, a token that nobody has, an unknown topic - goes the ordinary path, through all other
middlewares and FastAPI, which have every rule, limit and refusal. So there is one place for each
sentence that a caller may read, and a call is answered here only when all is well.

What the other middlewares do for a call that is well is done here: the limits on its head and its
body, its metrics, the headers of its answer. The rules are theirs; a test compares both paths.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.domain.errors import DATABASE_AWAY as SENTENCE
from service.domain.errors import Refusal, Unavailable
from service.hot.answer_head import AnswerHeads
from service.hot.call import Answer, Call, OrdinaryPath
from service.hot.read_body import Deadlines, ReadBody
from service.hot.turns import Turns
from service.http.body_limit import long_head, with_own_cookies
from service.http.connections.answer_parts import in_parts
from service.http.cross_origin import listed_origin
from service.http.limits.body_memory import BodyMemory
from service.http.limits.call_turn import TURN, CallTurn
from service.http.metrics import Requests
from service.http.observed_requests import HEADER, identify_by
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
"""By method and path; a path that ends with a slash stands for all below it, but for "/"."""


class HotCalls:
    """Answers what `routes` name; raises nothing of its own."""

    def __init__(
        self, app: ASGIApp, routes: Routes, requests: Requests, turns: Turns, *, is_https: bool
    ) -> None:
        self.app = app
        self.routes = routes
        self.turns = turns
        self.tallies = requests.tallies
        self.heads = AnswerHeads(is_https=is_https)
        self.deadlines, self.memory = Deadlines(), BodyMemory()
        self.prefixes = tuple(path for _, path in routes if path.endswith("/") and path != "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a hot call, or pass it on with the body that was read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route, turn = self._find(scope), self.turns.turn_of(scope)
        try:
            if route is not None and long_head(scope) is None:
                call = Call(scope, dict(reversed(scope["headers"])), turn)
                await self._answer(route, call, receive, send)
            else:
                await self._pass_on(scope, receive, send, turn)
        finally:
            turn.end()

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, turn: CallTurn) -> None:
        try:
            await turn.take()
        except Unavailable as error:  # more wait than can be connected: some have gone away
            refusal = _problem(error, scope["path"])
            self.heads.complete(refusal.headers, has_credentials=True, site=None)
            await refusal(scope, receive, send)
            return
        scope[TURN] = turn
        scope = with_own_cookies(scope)
        receive, send = turn.between(receive), turn.until_answer(in_parts(send))
        if self.turns.is_newsrooms(turn):
            with self.turns.newsroom_first.call():
                await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, route: Route, call: Call, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        scope, turn = call.scope, call.turn
        body = ReadBody(receive, self.deadlines, self.memory)
        try:
            if route.has_body:
                call.body = await body.read(call.headers)
            await turn.take()
            answer = await route.answer(call)
        except (Unavailable, *DATABASE_AWAY) as error:
            refusal = await self._refuse(error, route, call, started_at)
            await refusal(scope, receive, send)
        except (OrdinaryPath, ValidationError, Refusal, HTTPException):
            await self._pass_on(scope, body.replay, send, turn)
        except Exception:
            log.exception("hot call failed", path=route.path)
            await self._pass_on(scope, body.replay, send, turn)
        else:
            turn.end()
            await self._send(answer, route, call, started_at, send)

    async def _send(
        self, answer: Answer, route: Route, call: Call, started_at: float, send: Send
    ) -> None:
        has_credentials = _has_credentials(call)
        site = await _find_site(call) if b"origin" in call.headers else None
        name = _identify(call)
        start = self.heads.start(answer, name, has_credentials=has_credentials, site=site)
        self._count(route, call, answer.status, started_at)
        await send(start)
        await in_parts(send)({"type": "http.response.body", "body": answer.body})

    async def _refuse(
        self, error: BaseException, route: Route, call: Call, started_at: float
    ) -> Response:
        """Return what answers a call while something is away."""
        has_credentials, site = _has_credentials(call), await _find_site(call)
        answer = _problem(error, route.path)
        self.heads.complete(answer.headers, has_credentials=has_credentials, site=site)
        answer.headers["X-Request-ID"] = _identify(call).decode()
        self._count(route, call, answer.status_code, started_at)
        return answer

    def _count(self, route: Route, call: Call, status: int, started_at: float) -> None:
        duration = time.perf_counter() - started_at
        self.tallies.count(call.scope["method"], route.path, status, duration)

    def _find(self, scope: Scope) -> Route | None:
        method, path = scope["method"], scope["path"]
        route = self.routes.get((method, path))
        if route is not None:
            return route
        if path.startswith(self.prefixes):
            prefix = next(prefix for prefix in self.prefixes if path.startswith(prefix))
            return self.routes.get((method, prefix))
        return None


def _identify(call: Call) -> bytes:
    return identify_by(call.headers.get(HEADER, b""))


def _has_credentials(call: Call) -> bool:
    return b"authorization" in call.headers or b"cookie" in call.headers


async def _find_site(call: Call) -> str | None:
    """Return the site that may read the answer; None where the request names no origin."""
    origin = call.headers.get(b"origin")
    return None if origin is None else await listed_origin(call.scope, origin.decode("latin-1"))


def _problem(error: BaseException, path: str) -> Response:
    if isinstance(error, Unavailable):
        detail, wait = error.detail, error.retry_after
    else:
        log.warning("Postgres did not answer", path=path, error=type(error).__name__)
        detail, wait = SENTENCE, Unavailable(SENTENCE).retry_after
    return problem(KINDS[Unavailable], detail, headers={"Retry-After": str(wait)})
