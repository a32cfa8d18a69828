"""Every refusal in one shape: RFC 9457 `application/problem+json`.

One table gives each error of the domain its status; a test holds the table complete. People's
browsers get the site's own error page instead, when the web side has offered one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import exc as sql
from starlette.exceptions import HTTPException

from service.domain import errors

log = structlog.get_logger()
router = APIRouter()

RETRY_AFTER_S = 2
MACHINE_PATHS = ("/api", "/health", "/metrics", "/problems", "/openapi.json")
"""Below these nobody is shown a page: programs read the problem."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of problem: its status, the last step of its `type`, and its title."""

    status: int
    slug: str
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """The stable URI reference that programs compare; it can be read, too."""
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
        (errors.KeyReused, 422, "key-reused", "The Idempotency-Key was used for something else"),
        (errors.TooLarge, 413, "too-large", "The request is too large"),
        (errors.TooMany, 429, "too-many", "Too many requests"),
        (errors.Unavailable, 503, "unavailable", "A part is away"),
    )
}
MALFORMED = Kind(400, "malformed", "The request cannot be read", "The body is not what it claims.")
NO_SUCH_METHOD = Kind(405, "method", "No such method here", "The address exists; the method not.")
UNEXPECTED = Kind(500, "unexpected", "Something broke", "A fault of ours; it has been logged.")
_OF_STATUS = {kind.status: kind for kind in reversed(tuple(KINDS.values()))} | {
    kind.status: kind for kind in (MALFORMED, NO_SUCH_METHOD, UNEXPECTED)
}


_NOTHING_SAID = {
    404: "There is nothing at this address.",
    405: "This address exists, but not for this method.",
}
"""What the router's own refusals mean, in a sentence."""


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


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem",
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
}
"""What the application tells OpenAPI about every call's refusals."""


def problem(
    kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return the answer of one problem; `more` are members beside the five."""
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
    """Give the application its error table and the pages that explain the types."""
    app.add_exception_handler(errors.Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _http)
    for away in (sql.OperationalError, sql.InterfaceError, sql.TimeoutError):
        app.add_exception_handler(away, _postgres_away)
    app.add_exception_handler(sql.DataError, _unfit_for_postgres)
    app.add_exception_handler(Exception, _unexpected)
    app.include_router(router)


@router.get("/problems/{slug}", include_in_schema=False)
def explain(slug: str) -> dict[str, str | int]:
    """Say what a problem's type means."""
    for kind in (*KINDS.values(), MALFORMED, NO_SUCH_METHOD, UNEXPECTED):
        if kind.slug == slug:
            return {
                "type": kind.type,
                "title": kind.title,
                "status": kind.status,
                "detail": kind.meaning,
            }
    raise errors.NotFound("There is no such type of problem.")


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
            return {"errors": [{"field": error.field, "detail": error.detail}]}
        case errors.AlreadyAlerted():
            site = request.app.state.settings.public_url
            first = str(error.first_id)
            return {"first": {"id": first, "url": f"{site}/desk/alerts/{first}"}}
        case _:
            return {}


async def _unfit(request: Request, error: Exception) -> Response:
    found: Sequence[Mapping[str, Any]] = getattr(error, "errors", list)()
    if found and found[0]["type"] == "json_invalid":
        reason = found[0].get("ctx", {}).get("error", "unreadable")
        where = found[0]["loc"][-1]
        return _answer(request, MALFORMED, f"The body is not JSON: {reason} at character {where}.")
    fields = [{"field": _name(one["loc"]), "detail": _words(one)} for one in found]
    detail = "; ".join(f"{one['field']}: {one['detail']}" for one in fields[:3])
    in_path = all(one["loc"][:1] == ("path",) for one in found)
    kind = KINDS[errors.NotFound if in_path else errors.Invalid]
    return _answer(request, kind, detail, errors=fields)


def _name(loc: Sequence[str | int]) -> str:
    """Return a field's dotted path without saying where in the request it stood."""
    return ".".join(str(step) for step in loc[1:]) or "body"


def _words(error: Mapping[str, Any]) -> str:
    if error["type"] in ("model_attributes_type", "dict_type", "missing") and error["loc"] == (
        "body",
    ):
        return "Send a JSON object, with Content-Type: application/json."
    return str(error["msg"]).removeprefix("Value error, ")


async def _http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    kind = _OF_STATUS.get(status) or Kind(status, f"http-{status}", str(status), "")
    detail = str(getattr(error, "detail", "") or kind.title)
    if detail == HTTPStatus(status).phrase:
        detail = _NOTHING_SAID.get(status, detail)
    return _answer(request, kind, detail, headers=getattr(error, "headers", None))


async def _postgres_away(request: Request, error: Exception) -> Response:
    log.warning("Postgres did not answer", path=request.url.path, error=type(error).__name__)
    return _answer(
        request,
        KINDS[errors.Unavailable],
        "The database does not answer just now: try again.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def _unfit_for_postgres(request: Request, error: Exception) -> Response:
    log.warning("unfit for Postgres", path=request.url.path, error=_driver_error(error))
    return _answer(
        request,
        KINDS[errors.Invalid],
        "A value cannot be stored: a NUL character, or a number out of range.",
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected", path=request.url.path, error=type(error).__name__, exc_info=error)
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
