"""A request as a hot call reads it, and the answer that it gives."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, TypeAdapter
from starlette.types import Scope

from service.domain.people import hash_token
from service.http.limits.call_turn import CallTurn

Body = TypeVar("Body")
Result = TypeVar("Result")
Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
JSON = (b"application/json", b"application/json; charset=utf-8")
_BEARER = b"Bearer "


class OrdinaryPath(Exception):
    """The call is not the usual one: FastAPI answers it, with whatever is to be said."""


@dataclass(slots=True)
class Call:
    """A request whose head has been read; `body` follows when the call has one.

    Of a header that was sent twice, `headers` has the first, as FastAPI reads it.
    """

    scope: Scope
    headers: Mapping[bytes, bytes]
    turn: CallTurn
    body: bytes = b""

    def token_hash(self) -> bytes:
        """Return the digest of the reader's token; without one the call is not a usual one."""
        value = self.headers.get(b"authorization", b"")
        token = value[len(_BEARER) :]
        if not value.startswith(_BEARER) or not token.isascii() or not token or b" " in token:
            raise OrdinaryPath
        return hash_token(token.decode())

    def read(self, model: TypeAdapter[Body]) -> Body:
        """Return the body as its model; raises `ValidationError` for one that is wrong."""
        if self.headers.get(b"content-type") not in JSON:
            raise OrdinaryPath
        return model.validate_json(self.body)

    def read_optional(self, model: TypeAdapter[Body]) -> Body | None:
        """Return the body as its model, None without one."""
        return self.read(model) if self.body else None

    async def wait_for(self, group: Awaitable[Result]) -> Result:
        """Return the group's result; another call computes meanwhile."""
        self.turn.give_back()
        return await group


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a body of this type, if any, and headers beside those of every answer."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    content_type: bytes = JSON[0]


def json_answer(status: int, model: BaseModel, *headers: tuple[bytes, bytes]) -> Answer:
    """Return a model as the answer."""
    return Answer(status, model.__pydantic_serializer__.to_json(model), headers)


NO_STORE = (b"cache-control", b"no-store")
NO_CONTENT = Answer(204)
