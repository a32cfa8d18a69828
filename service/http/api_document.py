"""How calls are declared, and the OpenAPI document of them: complete, and served from memory."""

import json
from enum import Enum
from functools import cache
from typing import Any

import anyio
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.routing import Route

from service.domain.errors import no_such
from service.http.admission import AdmitRequest
from service.http.limits.call_turn import end_turn
from service.http.problems import (
    ALL_KINDS,
    DOCUMENTED,
    PROBLEM_REFERENCE,
    FieldError,
    Problem,
    document_refusal,
)

PATH = "/openapi.json"
SCHEMAS = PROBLEM_REFERENCE.removesuffix("Problem")
EVENT_STREAM = {"type": "string", "description": "Server-sent events."}
FIVE_MINUTES = "public, max-age=300"


def operation_id(route: APIRoute) -> str:
    """Return a call's name in generated clients: that of its function."""
    return route.name


class Router(APIRouter):
    """Declares calls. Each is admitted before anything else, and its refusals are documented.

    A route is built when it is declared, and every application of a process has the same ones.
    `FastAPI.include_router` would analyse each a second time, and look for it twice a request.
    """

    def __init__(
        self, *, prefix: str = "", tags: list[str | Enum] | None = None, in_document: bool = True
    ) -> None:
        super().__init__(
            prefix=prefix,
            tags=tags,
            dependencies=[AdmitRequest],
            responses=DOCUMENTED if in_document else None,
            include_in_schema=in_document,
            generate_unique_id_function=operation_id,
        )

    def add_to(self, app: FastAPI) -> None:
        """Let the application answer these calls."""
        app.router.routes.extend(self.routes)


_problems = Router(in_document=False)


@_problems.get("/problems/{slug}")
def explain(slug: str) -> dict[str, str | int]:
    """Explain a type of problem."""
    kind = next((kind for kind in ALL_KINDS if kind.slug == slug), None)
    if kind is None:
        raise no_such("type of problem")
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.meaning,
    }


def install(app: FastAPI) -> None:
    """Have the application describe itself with this document, also on /docs."""

    @cache
    def document() -> dict[str, Any]:
        return _complete(
            get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                servers=[{"url": app.state.settings.public_url}],
            )
        )

    @cache
    def text() -> bytes:
        return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    writing = anyio.CapacityLimiter(1)

    async def respond(request: Request) -> Response:
        """Answer from memory; the first time it takes a second, in one thread for all who ask."""
        end_turn(request.scope)
        headers = {"Cache-Control": FIVE_MINUTES}
        content = await anyio.to_thread.run_sync(text, limiter=writing)
        return Response(content, headers=headers, media_type="application/json")

    _problems.add_to(app)
    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way
    app.router.routes.insert(0, Route(PATH, respond, include_in_schema=False))


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the problem's schema, and let each summary say what its call does."""
    _, problem = models_json_schema(
        [(Problem, "serialization"), (FieldError, "serialization")],
        ref_template=SCHEMAS + "{model}",
    )
    document["components"]["schemas"] |= problem["$defs"]
    for methods in document["paths"].values():
        for method, operation in methods.items():
            methods[method] = operation | _describe(operation.pop("description", ""))
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    answer.setdefault("content", document_refusal("")["content"])
                for media in answer.get("content", {}).values():
                    if media.pop("itemSchema", None):  # a word of OpenAPI 3.2
                        media["schema"] = EVENT_STREAM
    return document


def _describe(docstring: str) -> dict[str, str]:
    """Return the first sentence as the summary, and the rest as the description."""
    text = " ".join(docstring.split("\n"))
    summary, _, rest = text.partition(". ")
    described = {"summary": summary.removesuffix(".")}
    return described | {"description": rest.strip()} if rest.strip() else described
