"""The API's OpenAPI document: what FastAPI collects, made complete, and served from memory."""

import json
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.routing import Route

from service.http.problems import PROBLEM_REFERENCE, FieldError, Problem, document_refusal

PATH = "/openapi.json"
SCHEMAS = PROBLEM_REFERENCE.removesuffix("Problem")
EVENT_STREAM = {"type": "string", "description": "Server-sent events."}
FIVE_MINUTES = "public, max-age=300"


def operation_id(route: APIRoute) -> str:
    """Return a call's name in generated clients: that of its function."""
    return route.name


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
        return json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode()

    def respond(_: Request) -> Response:
        headers = {"Cache-Control": FIVE_MINUTES}
        return Response(text(), headers=headers, media_type="application/json")

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
