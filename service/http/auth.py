"""Authentication: machines by API key, staff by session cookie, readers by token.

Each look-up is a short transaction that ends before the request's unit of work begins, so that one
request never holds two connections.
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
from starlette.types import Scope as RequestScope

from service.domain.errors import Forbidden, Unauthenticated
from service.domain.people import ApiKey, Caller, Reader, Scope, Staff, hash_token
from service.http.limits.call_turn import without_turn
from service.store.readers import readers
from service.store.session import transaction
from service.store.staff import accounts

STAFF_COOKIE = "newszop_staff"
CACHE_S = 2.0
"""How long a known key is trusted without a query; a revoked key works for so long at most."""

_key_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="`nzp_...`, made by `newszop key add`."
)
_reader_bearer = HTTPBearer(
    auto_error=False, scheme_name="ReaderToken", description="From `POST /api/readers`."
)
_staff_cookie = APIKeyCookie(
    name=STAFF_COOKIE,
    auto_error=False,
    scheme_name="StaffSession",
    description="Set by /login; for GET calls only.",
)
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_key_bearer)]
_ReaderBearer = Annotated[HTTPAuthorizationCredentials | None, Security(_reader_bearer)]
_Cookie = Annotated[str | None, Security(_staff_cookie)]


@dataclass(slots=True)
class KeyCache:
    """The keys used in the last seconds, by the hash of their secret. Bounded."""

    max_keys: int = 1024
    _entries: dict[bytes, tuple[ApiKey, float]] = field(default_factory=dict)

    def get(self, secret: str) -> ApiKey | None:
        """Return the key with this secret if it was used just now; queries nothing."""
        key, until = self._entries.get(hash_token(secret), (None, 0.0))
        return key if time.monotonic() < until else None

    def fetch(self, engine: Engine, secret: str) -> ApiKey | None:
        """Return the key with this secret from Postgres, and remember it."""
        now = datetime.now(UTC)
        with transaction(engine) as session:
            key = accounts.key_of(session, secret)
            if key is not None:
                accounts.touch_key(session, key, now)
        self._store(hash_token(secret), key)
        return key

    def _store(self, digest: bytes, key: ApiKey | None) -> None:
        if len(self._entries) >= self.max_keys:
            self._entries.clear()
        if key is None:
            self._entries.pop(digest, None)
        else:
            self._entries[digest] = (key, time.monotonic() + CACHE_S)


def staff_from_cookie(session: Session, token: str | None, now: datetime) -> Staff | None:
    """Return the member of staff whose session has this token; None when there is none."""
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
    """Return the caller; a key used just now costs neither a query nor a thread."""
    if bearer is not None:
        keys: KeyCache = request.app.state.key_cache
        key = keys.get(bearer.credentials)
        if key is None:
            engine: Engine = request.app.state.engine
            async with without_turn(request.scope):
                key = await run_in_threadpool(keys.fetch, engine, bearer.credentials)
        if key is None:
            raise Unauthenticated("This API key is unknown or revoked.")
        return caller_of_key(key)
    if request.method not in ("GET", "HEAD") or cookie is None:
        raise Unauthenticated("Send an API key: Authorization: Bearer nzp_...")
    async with without_turn(request.scope):
        return await run_in_threadpool(_signed_in, request.app.state.engine, cookie)


def _signed_in(engine: Engine, cookie: str) -> Caller:
    with transaction(engine) as session:
        staff = staff_from_cookie(session, cookie, datetime.now(UTC))
    if staff is None:
        raise Unauthenticated("This session has ended: sign in again.")
    return caller_of_staff(staff)


async def is_known(scope: RequestScope) -> bool:
    """Whether a request carries a valid API key or staff session; asks for a large body only."""
    async with without_turn(scope):
        return await _is_known(Request(scope))


async def _is_known(request: Request) -> bool:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    engine: Engine = request.app.state.engine
    if scheme.lower() == "bearer" and secret:
        keys: KeyCache = request.app.state.key_cache
        secret = secret.strip()
        key = keys.get(secret) or await run_in_threadpool(keys.fetch, engine, secret)
        return key is not None
    cookie = request.cookies.get(STAFF_COOKIE)
    return cookie is not None and await run_in_threadpool(_has_session, engine, cookie)


def _has_session(engine: Engine, cookie: str) -> bool:
    with transaction(engine) as session:
        return staff_from_cookie(session, cookie, datetime.now(UTC)) is not None


def still_has_scope(request: Request, scope: Scope) -> bool:
    """Look the caller of a long answer up again: a key may be revoked, a session closed meanwhile.

    Runs in a thread, because it asks Postgres.
    """
    state = request.app.state
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        keys: KeyCache = state.key_cache
        secret = secret.strip()
        key = keys.get(secret) or keys.fetch(state.engine, secret)  # once for all of its streams
        return key is not None and scope in key.scopes
    with transaction(state.engine) as session:
        token = request.cookies.get(STAFF_COOKIE)
        staff = staff_from_cookie(session, token, datetime.now(UTC))
    return staff is not None and scope in staff.role.scopes


def _reader(request: Request, bearer: _ReaderBearer) -> Reader:
    if bearer is None:
        raise Unauthenticated("Send a reader's token: Authorization: Bearer ...")
    with transaction(request.app.state.engine) as session:
        reader = readers.by_token(session, hash_token(bearer.credentials))
    if reader is None:
        raise Unauthenticated("This reader's token is unknown: register again.")
    return reader


def _reader_token_hash(bearer: _ReaderBearer) -> bytes:
    return hash_token(bearer.credentials if bearer is not None else "")


CurrentReader = Annotated[Reader, Depends(_reader)]
ReaderTokenHash = Annotated[bytes, Depends(_reader_token_hash)]
"""The hash of the token that `CurrentReader` was found by."""
StoryWriter = Annotated[Caller, require_scope(Scope.STORIES_WRITE)]
AlertWriter = Annotated[Caller, require_scope(Scope.ALERTS_WRITE)]
AdminCaller = Annotated[Caller, require_scope(Scope.ADMIN)]

__all__ = [
    "STAFF_COOKIE",
    "AdminCaller",
    "AlertWriter",
    "CurrentReader",
    "KeyCache",
    "ReaderTokenHash",
    "StoryWriter",
    "caller_of_key",
    "caller_of_staff",
    "hash_token",
    "is_known",
    "staff_from_cookie",
    "still_has_scope",
]
