"""What endpoints ask for by type: the unit of work, the settings, a page of a list.

Dependencies that do no I/O are `async` although they await nothing: FastAPI would run a plain
function in a thread.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query, Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from starlette.requests import HTTPConnection

from service.broker.message_queues import MessageQueues
from service.domain.errors import TooMany
from service.http.forwarded import counted_address, is_forwarded
from service.http.limits.rate_limit import Throttle
from service.http.problems import MAX_ERRORS
from service.settings import Settings
from service.store.replica import ReadSource, Replica, log_place
from service.unit_of_work import UnitOfWork, unit_of_work

T = TypeVar("T")
LARGEST_PAGE = 200
REGISTRATIONS = "registrations"
_ID_LIMIT = 2**63


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _queues(request: Request) -> MessageQueues:
    queues: MessageQueues = request.app.state.queues
    return queues


def _work(request: Request) -> Iterator[UnitOfWork]:
    with unit_of_work(request.app.state.engine, request.app.state.broker) as work:
        yield work


def _report_work(
    request: Request, work: Annotated[UnitOfWork, Depends(_work, scope="function")]
) -> Iterator[UnitOfWork]:
    replica: Replica = request.app.state.replica
    session = replica.open_session(log_place(work.session)) if replica.exists else None
    if session is None:
        yield work
        return
    with session:
        yield UnitOfWork(session, work.outbox, work.now)
    replica.note(ReadSource.REPLICA)


SettingsDep = Annotated[Settings, Depends(_settings)]
QueuesDep = Annotated[MessageQueues, Depends(_queues)]
WorkDep = Annotated[UnitOfWork, Depends(_work, scope="function")]
"""One request is one transaction: the answer leaves after the commit and the messages."""

ReportDep = Annotated[UnitOfWork, Depends(_report_work, scope="function")]
"""For reports, which write nothing: the replica reads once it has all that was committed before the
call, else the primary."""

Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="`next` of the page before; none for the first page."),
]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Items a page.")]


class Listing(BaseModel, Generic[T]):
    """A page of a list; `next` is the cursor of the one that follows, null at the end."""

    items: list[T]
    next: str | None


def page(items: Sequence[T], next: str | None) -> Listing[T]:  # noqa: A002 - the contract's word
    """Return a page in the shape of every list."""
    return Listing(items=list(items), next=next)


def _read_id(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:  # noqa: PLR2004 - digits of 2**63
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _ID_LIMIT:
        raise ValueError("This is not an id.")
    return value


Id = Annotated[
    int,
    BeforeValidator(_read_id),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["42"]}),
]
"""A 63-bit number inside, a string outside, because JSON readers would round it."""


def _read_moment(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("Write a date and time with its offset, as in 2026-05-01T12:30:00+05:30.")
    return value


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("The offset is missing: write for instance 2026-05-01T12:30:00+05:30.")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("This moment is beyond the calendar.") from None


Moment = Annotated[
    datetime,
    BeforeValidator(_read_moment),
    AfterValidator(_in_utc),
    PlainSerializer(datetime.isoformat, return_type=str, when_used="json-unless-none"),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-05-01T12:30:00+05:30"]}
    ),
]
"""RFC 3339 with an offset; UTC inside."""


def _with_offset(value: datetime) -> datetime:
    _in_utc(value)
    return value


WrittenMoment = Annotated[
    datetime,
    BeforeValidator(_read_moment),
    AfterValidator(_with_offset),
    PlainSerializer(
        lambda value: _in_utc(value).isoformat(), return_type=str, when_used="json-unless-none"
    ),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-05-01T12:30:00+05:30"]}
    ),
]
"""The same with the offset that it was written with: its calendar day is the writer's."""


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("A NUL character cannot be stored.")
    return value


Line = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_without_nul)]
"""A short text from outside: bounded, and without the NUL that Postgres cannot store."""


def at_most(number: int) -> BeforeValidator:
    """Return a check of a list's or an object's length that comes before its items."""

    def check_length(value: object) -> object:
        if isinstance(value, list | dict) and len(value) > number:
            raise ValueError(f"At most {number:,}; these are {len(value):,}.")
        return value

    return BeforeValidator(check_length)


class Closed(BaseModel):
    """A request's body that refuses members it does not know, so that a typing error is seen."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _count_members(cls, value: object) -> object:
        """Refuse a flood of members before each of them becomes an error."""
        if isinstance(value, dict) and len(value) > len(cls.model_fields) + MAX_ERRORS:
            raise ValueError(f"At most {len(cls.model_fields)} members; these are {len(value):,}.")
        return value


def limit_registrations(request: Request, settings: SettingsDep) -> None:
    """Refuse more new readers a minute from one address than the settings allow."""
    key = limited_address(request)
    if key is not None:
        limit(request, REGISTRATIONS, key, settings.registrations_per_minute)


def limited_address(request: HTTPConnection) -> str | None:
    """Return the address by which new readers are counted; None on this machine, not limited."""
    address = counted_caller(request)
    return None if is_loopback(address) and not is_forwarded(request) else address


RegistrationsLimited = Depends(limit_registrations)


def limit(request: Request, action: str, caller: str, per_minute: int) -> None:
    """Count one attempt of the caller; raise `TooMany` when there were too many in this minute."""
    throttle: Throttle = request.app.state.throttle
    wait = throttle.hit(action, caller, per_minute)
    if wait is not None:
        raise TooMany(f"Too many {action}: at most {per_minute} a minute.", wait)


def caller_address(request: HTTPConnection) -> str:
    """Return the caller's network address, which trusted proxies report (`forwarded.py`)."""
    return request.client.host if request.client else ""


def counted_caller(request: HTTPConnection) -> str:
    """Return what limits count the caller by, when it is not signed in."""
    return counted_address(caller_address(request))


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
