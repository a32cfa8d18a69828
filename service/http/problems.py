"""Every refusal as a problem of RFC 9457, `application/problem+json`.

One table gives each error of the domain its status, and a test checks that it is complete.
Browsers get the site's error page instead, which the web side installs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import exc as sql
from starlette.exceptions import HTTPException

from service.domain import errors
from service.http.near_misses import methods_of, path_without_slash
from service.http.observed_requests import ID, route_of

log = structlog.get_logger()

RETRY_AFTER_S = 2
_LOGGED = "newszop_logged"
"""Marks an error that has been logged: the stack hands it to `answer_fault` once more, outside."""
MAX_ERRORS = 20
"""Wrong fields in one problem; who has more of them starts with these."""
MAX_NAME = 200
MAX_DETAIL = 500
MACHINE_PATHS = ("/api", "/health", "/metrics", "/problems", "/openapi.json")
"""Below these paths a browser gets the problem too, not a page."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of problem: its status, the last step of its `type`, and its title."""

    status: int
    slug: str
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """The stable URI reference that programs compare; it leads to an explanation."""
        return f"/problems/{self.slug}"


def _kind(error: type[errors.Refusal], status: int, slug: str, title: str) -> Kind:
    return Kind(status, slug, title, (error.__doc__ or title).replace("`", ""))


KINDS: Mapping[type[errors.Refusal], Kind] = {
    error: _kind(error, status, slug, title)
    for error, status, slug, title in (
        (errors.Refusal, 400, "refused", "The request is refused"),
        (errors.Invalid, 422, "invalid", "A field is wrong"),
        (errors.NotFound, 404, "not-found", "There is no such thing"),
        (errors.Unauthenticated, 401, "unauthenticated", "Who is calling?"),
        (errors.Forbidden, 403, "forbidden", "This caller may not"),
        (errors.Conflict, 409, "conflict", "The state of things is against it"),
        (errors.AlreadyAlerted, 409, "already-alerted", "The story has its alert"),
        (errors.AddressGone, 409, "address-gone", "The address is dead"),
        (errors.KeyReused, 422, "key-reused", "The Idempotency-Key was used for something else"),
        (errors.TooLarge, 413, "too-large", "The request is too large"),
        (errors.TooSlow, 408, "too-slow", "The request did not arrive in time"),
        (errors.TooMany, 429, "too-many", "Too many requests"),
        (errors.Unavailable, 503, "unavailable", "A part is away"),
    )
}
MALFORMED = Kind(400, "malformed", "The request cannot be read", "The body is not what it claims.")
NO_SUCH_METHOD = Kind(405, "method", "No such method here", "The address exists; the method not.")
UNEXPECTED = Kind(500, "unexpected", "Something broke", "A fault of ours; it has been logged.")
ALL_KINDS = (*KINDS.values(), MALFORMED, NO_SUCH_METHOD, UNEXPECTED)
_OF_STATUS = {kind.status: kind for kind in reversed(tuple(KINDS.values()))} | {
    kind.status: kind for kind in (MALFORMED, NO_SUCH_METHOD, UNEXPECTED)
}


_ROUTER_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address exists, but not for this method.",
}
"""What the router's refusals mean, in a sentence."""


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["headline"])
    detail: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/problems/invalid"])
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


PROBLEM_REFERENCE = "#/components/schemas/Problem"


def document_refusal(description: str) -> dict[str, Any]:
    """Return a refusal's entry in the OpenAPI document."""
    schema = {"schema": {"$ref": PROBLEM_REFERENCE}}
    return {"description": description, "content": {"application/problem+json": schema}}


DOCUMENTED: dict[int | str, dict[str, Any]] = {"default": document_refusal("A problem")}
"""The refusals of every call, for OpenAPI."""


def problem(
    kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return the answer of one problem; `more` are further members."""
    body = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "errors": [],
    } | more
    return JSONResponse(
        body,
        status_code=kind.status,
        headers=dict(headers or {}) | {"Cache-Control": "no-store"},
        media_type="application/problem+json",
    )


def install(app: FastAPI) -> None:
    """Give the application its error table."""
    app.add_exception_handler(errors.Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http)
    for error in (sql.OperationalError, sql.InterfaceError, sql.TimeoutError):
        app.add_exception_handler(error, _postgres_away)
    app.add_exception_handler(sql.DataError, _unstorable)
    app.add_exception_handler(Exception, answer_fault)


async def _refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, errors.Refusal):  # pragma: no cover - what Starlette's type allows
        raise error
    kind = next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)
    return _answer(request, kind, error.detail, headers=_headers(error), **_members(request, error))


def _headers(error: errors.Refusal) -> dict[str, str]:
    match error:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="newszop"'}
        case errors.TooMany() | errors.Unavailable():
            return {"Retry-After": str(max(1, error.retry_after))}
        case _:
            return {}


def _members(request: Request, error: errors.Refusal) -> dict[str, Any]:
    match error:
        case errors.Invalid():
            faults = [{"field": place, "detail": fault} for place, fault in error.faults]
            return {"errors": faults}
        case errors.AlreadyAlerted():
            site = request.app.state.settings.public_url
            first = str(error.first_id)
            return {"first": {"id": first, "url": f"{site}/desk/alerts/{first}"}}
        case _:
            return {}


async def _invalid_request(request: Request, error: Exception) -> Response:
    faults: Sequence[Mapping[str, Any]] = getattr(error, "errors", list)()
    if faults and faults[0]["type"] == "json_invalid":
        reason = faults[0].get("ctx", {}).get("error", "unreadable")
        where = faults[0]["loc"][-1]
        return _answer(request, MALFORMED, f"The body is not JSON: {reason} at character {where}.")
    fields = [
        {"field": _field_path(fault["loc"]), "detail": _describe(fault)[:MAX_DETAIL]}
        for fault in faults[:MAX_ERRORS]
    ]
    detail = "; ".join(f"{field['field']}: {field['detail']}" for field in fields[:3])
    if len(faults) > len(fields):
        detail += f"; {len(faults) - len(fields):,} more are wrong"
    in_path = all(fault["loc"][:1] == ("path",) for fault in faults)
    kind = KINDS[errors.NotFound if in_path else errors.Invalid]
    return _answer(request, kind, detail, errors=fields)


def _field_path(loc: Sequence[str | int]) -> str:
    """Return a field's dotted path, without the part of the request and the form that it is in."""
    steps = (str(step)[:MAX_NAME] for step in loc[1:] if not str(step).startswith("["))
    return ".".join(steps)[:MAX_NAME] or "body"


def _describe(fault: Mapping[str, Any]) -> str:
    if fault["type"] in ("model_attributes_type", "dict_type", "missing") and fault["loc"] == (
        "body",
    ):
        return "Send a JSON object, with Content-Type: application/json."
    return str(fault["msg"]).removeprefix("Value error, ")


async def _http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    target = path_without_slash(request) if status == HTTPStatus.NOT_FOUND else None
    if target is not None:
        return RedirectResponse(target, HTTPStatus.TEMPORARY_REDIRECT)
    headers = dict(getattr(error, "headers", None) or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = methods_of(request)
    kind = _OF_STATUS.get(status) or Kind(status, f"http-{status}", str(status), "")
    detail = str(getattr(error, "detail", "") or kind.title)
    if detail == HTTPStatus(status).phrase:
        detail = _ROUTER_DETAILS.get(status, detail)
    return _answer(request, kind, detail, headers=headers)


async def _postgres_away(request: Request, error: Exception) -> Response:
    log.warning(
        "Postgres did not answer", route=route_of(request.scope), error=type(error).__name__
    )
    return _answer(
        request,
        KINDS[errors.Unavailable],
        errors.DATABASE_AWAY,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def _unstorable(request: Request, error: Exception) -> Response:
    """Blame the caller only for a value that the driver would not even send.

    What the database itself refuses is a fault of our statement or of our data.
    """
    if getattr(getattr(error, "orig", None), "sqlstate", None) is not None:
        return await answer_fault(request, error)
    log.warning("value not storable", route=route_of(request.scope), error=_driver_error(error))
    return _answer(
        request,
        KINDS[errors.Invalid],
        "A value cannot be stored: it has a NUL character.",
    )


async def answer_fault(request: Request, error: Exception) -> Response:
    """Log what nobody expected, and answer without a word of it."""
    if _LOGGED not in vars(error):
        vars(error)[_LOGGED] = True
        names = {"route": route_of(request.scope), "request_id": request.scope.get(ID)}
        log.error("unexpected", error=type(error).__name__, exc_info=error, **names)
    return _answer(request, UNEXPECTED, "This is our fault, and it has been logged.")


def _driver_error(error: Exception) -> str:
    return type(error.orig).__name__ if isinstance(error, sql.DBAPIError) else type(error).__name__


def _answer(
    request: Request,
    kind: Kind,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    page = getattr(request.app.state, "error_page", None)
    if page is not None and _wants_page(request):
        shown: Response = page(request, kind.status, kind.title, detail)
        shown.headers.update(headers or {})
        return shown
    return problem(kind, detail, headers=headers, **more)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(
        MACHINE_PATHS
    )
