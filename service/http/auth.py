"""Who is calling: a machine by its API key, staff by their session's cookie, a reader by token.

Each look-up is a short transaction of its own, over before the request's work begins, so that
one request never holds two connections.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.params import Depends as Dependency
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine
from sqlmodel import Session

from service.domain.errors import Forbidden, Unauthenticated
from service.domain.people import ApiKey, Caller, Reader, Scope, Staff, hash_token
from service.store.readers import readers
from service.store.session import transaction
from service.store.staff import accounts

STAFF_COOKIE = "newszop_staff"
CACHE_S = 2.0
"""How long a key is taken on trust: an ingester in a hurry costs no look-up, and a revoked key
ends within these seconds."""

_key_bearer = HTTPBearer(
    auto_error=False, scheme_name="API key", description="`nzp_...`, made by `newszop key add`."
)
_reader_bearer = HTTPBearer(
    auto_error=False, scheme_name="Reader token", description="From `POST /api/readers`."
)
_staff_cookie = APIKeyCookie(
    name=STAFF_COOKIE,
    auto_error=False,
    scheme_name="Staff session",
    description="Set by /login; for GET calls only.",
)
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_key_bearer)]
_ReaderBearer = Annotated[HTTPAuthorizationCredentials | None, Security(_reader_bearer)]
_Cookie = Annotated[str | None, Security(_staff_cookie)]


@dataclass(slots=True)
class KnownKeys:
    """The keys seen in the last seconds, by the hash of their secret. Bounded."""

    most: int = 1024
    _kept: dict[bytes, tuple[ApiKey, float]] = field(default_factory=dict)

    def recall(self, secret: str) -> ApiKey | None:
        """Return the key with this secret if it was seen just now; asks nobody."""
        key, until = self._kept.get(hash_token(secret), (None, 0.0))
        return key if time.monotonic() < until else None

    def find(self, engine: Engine, secret: str) -> ApiKey | None:
        """Return the key with this secret from Postgres, and remember it."""
        now = datetime.now(UTC)
        with transaction(engine) as session:
            key = accounts.key_of(session, secret)
            if key is not None:
                accounts.touch_key(session, key, now)
        self._keep(hash_token(secret), key)
        return key

    def _keep(self, digest: bytes, key: ApiKey | None) -> None:
        if len(self._kept) >= self.most:
            self._kept.clear()
        if key is None:
            self._kept.pop(digest, None)
        else:
            self._kept[digest] = (key, time.monotonic() + CACHE_S)


def staff_from_cookie(session: Session, token: str | None, now: datetime) -> Staff | None:
    """Return who is signed in with the value of the staff cookie, None for nobody."""
    return accounts.staff_of_session(session, token, now) if token else None


def caller_of_staff(staff: Staff) -> Caller:
    """Return a member of staff as a caller."""
    return Caller(name=f"staff:{staff.id}", label=staff.email, scopes=staff.role.scopes)


def caller_of_key(key: ApiKey) -> Caller:
    """Return a machine as a caller."""
    return Caller(name=f"key:{key.id}", label=key.name, scopes=key.scopes)


def require_scope(scope: Scope) -> Dependency:
    """Return a dependency that gives the `Caller` if the caller has `scope`, or refuses."""

    async def check_scope(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if scope not in caller.scopes:
            raise Forbidden(f"This call needs the scope {scope.value}, which {caller.label} lacks.")
        return caller

    dependency: Dependency = Depends(check_scope)
    return dependency


async def _caller(request: Request, bearer: _Bearer, cookie: _Cookie) -> Caller:
    """Return the caller; a key seen just now costs neither a look-up nor a thread's turn."""
    if bearer is not None:
        known: KnownKeys = request.app.state.known_keys
        key = known.recall(bearer.credentials)
        if key is None:
            engine: Engine = request.app.state.engine
            key = await run_in_threadpool(known.find, engine, bearer.credentials)
        if key is None:
            raise Unauthenticated("This API key is unknown or revoked.")
        return caller_of_key(key)
    if request.method not in ("GET", "HEAD") or cookie is None:
        raise Unauthenticated("Send an API key: Authorization: Bearer nzp_...")
    return await run_in_threadpool(_signed_in, request.app.state.engine, cookie)


def _signed_in(engine: Engine, cookie: str) -> Caller:
    with transaction(engine) as session:
        staff = staff_from_cookie(session, cookie, datetime.now(UTC))
    if staff is None:
        raise Unauthenticated("This session has ended: sign in again.")
    return caller_of_staff(staff)


def _reader(request: Request, bearer: _ReaderBearer) -> Reader:
    if bearer is None:
        raise Unauthenticated("Send a reader's token: Authorization: Bearer ...")
    with transaction(request.app.state.engine) as session:
        reader = readers.by_token(session, hash_token(bearer.credentials))
    if reader is None:
        raise Unauthenticated("This reader's token is unknown: register again.")
    return reader


CurrentReader = Annotated[Reader, Depends(_reader)]
StoryWriter = Annotated[Caller, require_scope(Scope.STORIES_WRITE)]
AlertWriter = Annotated[Caller, require_scope(Scope.ALERTS_WRITE)]
AdminCaller = Annotated[Caller, require_scope(Scope.ADMIN)]

__all__ = [
    "STAFF_COOKIE",
    "AdminCaller",
    "AlertWriter",
    "CurrentReader",
    "KnownKeys",
    "StoryWriter",
    "caller_of_key",
    "caller_of_staff",
    "hash_token",
    "staff_from_cookie",
]
