"""The people and machines that call us: readers, staff, API keys."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum

from service.domain.errors import Invalid

LONGEST_EXTERNAL_ID = 200
MOST_ALERTS_PER_DAY = 100
KEY_PREFIX = "nzp_"
"""What the secret of every API key begins with."""


def hash_token(token: str) -> bytes:
    """Return what tables keep of a token: tokens are long and random, so no salt is needed."""
    return hashlib.sha256(token.encode()).digest()


def check_external_id(external_id: object) -> str:
    """Return the id that a publisher's backend has for a person; raises `Invalid`."""
    is_name = isinstance(external_id, str) and external_id.isprintable() and external_id.strip()
    if not isinstance(external_id, str) or not is_name or len(external_id) > LONGEST_EXTERNAL_ID:
        raise Invalid(
            "external_id", f"A person's id is 1 to {LONGEST_EXTERNAL_ID} printable characters."
        )
    return external_id


class Scope(StrEnum):
    """What an API key may do."""

    STORIES_WRITE = "stories:write"
    ALERTS_WRITE = "alerts:write"
    ADMIN = "admin"


class Role(StrEnum):
    """What a member of staff is."""

    EDITOR = "editor"
    ADMIN = "admin"

    @property
    def scopes(self) -> frozenset[Scope]:
        """An admin may do everything, an editor what concerns stories and alerts."""
        if self is Role.ADMIN:
            return frozenset(Scope)
        return frozenset({Scope.STORIES_WRITE, Scope.ALERTS_WRITE})


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local wall-clock times between which a reader is left alone; equal ends mean never."""

    begin: time
    end: time

    def hold(self, local: time) -> bool:
        """Whether `local` falls within; the window may cross midnight."""
        if self.begin <= self.end:
            return self.begin <= local < self.end
        return local >= self.begin or local < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Someone who follows topics. `timezone` is an IANA name (`domain.time_zone`).

    `languages` are those that the reader reads; none: the reader has not said, and gets all.
    `alerts_per_day` is the most normal and quiet alerts in 24 hours; None: no wish of the reader's.
    `results` is whether the reader lets us count what it opens; None: it has not said, and the
    installation decides. `digest`: what quiet hours kept away comes as one push at their end.
    """

    id: int
    language: str = "en"
    languages: tuple[str, ...] = ()
    timezone: str = "UTC"
    quiet_hours: QuietHours | None = None
    alerts_per_day: int | None = None
    results: bool | None = None
    digest: bool = False

    def shares_results(self, *, by_default: bool) -> bool:
        """Whether what the reader opens may be counted."""
        return by_default if self.results is None else self.results


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A member of the newsroom who signs in; `reader_id` is the reader this person is."""

    id: int
    email: str
    role: Role
    disabled: bool = False
    reader_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A machine's credential; `prefix` is the part that may be shown."""

    id: int
    name: str
    prefix: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request of the staff side: `name` goes into the audit trail and idempotency.

    `name` is `key:<id>` for an API key and `staff:<id>` for a session; `label` is for people.
    """

    name: str
    label: str
    scopes: frozenset[Scope]
