"""Take over readers from elsewhere, a line of JSON each: `newszop readers import`.

A line is `{"provider", "address", "keys"?, "topics"?, "language"?, "timezone"?, "locale"?}`. An
address that is known already renews its device and adds to what its reader follows, so the same
file may be read again after it was mended or interrupted.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Engine
from sqlmodel import Session

from service import provider_door
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.language import parse_language, parse_locale
from service.domain.people import Reader, hash_token
from service.domain.topic import parse_path
from service.store.readers import devices, readers, subscriptions
from service.store.schema import new_id
from service.store.session import transaction
from service.store.stories import topics

BATCH = 500
LONGEST_LINE = 64 * 1024
MOST_TOPICS = 1000


@dataclass(slots=True)
class Tally:
    """How many lines made a reader, renewed one, or were skipped, and the length of all read."""

    added: int = 0
    renewed: int = 0
    skipped: int = 0
    size: int = 0

    @property
    def lines(self) -> int:
        """All lines read so far."""
        return self.added + self.renewed + self.skipped


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    p256dh: str
    auth: str


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    provider: str
    address: str
    keys: _Keys | None = None
    topics: list[str] = []
    language: str | None = None
    timezone: str | None = None
    locale: str = ""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A line that was found good."""

    registration: Registration
    paths: tuple[str, ...]
    language: str | None
    timezone: str | None

    @property
    def address_hash(self) -> bytes:
        return devices.address_hash(self.registration.provider, self.registration.address)

    def after(self, earlier: "_Arrival") -> "_Arrival":
        """Return what this line and an earlier one of the same address come to."""
        return replace(
            self,
            paths=earlier.paths + self.paths,
            language=self.language or earlier.language,
            timezone=self.timezone or earlier.timezone,
        )


def import_readers(
    engine: Engine,
    lines: Iterable[str | bytes],
    *,
    progress: Callable[[Tally], None] = lambda _: None,
    complain: Callable[[int, str], None] = lambda _line, _why: None,
) -> Tally:
    """Read the lines, one transaction for some hundred; return what became of them.

    Blank lines are nothing. A line that is wrong is skipped after `complain(its number, why)`,
    which never says an address.
    """
    tally = Tally()
    with transaction(engine) as session:
        zones = readers.time_zones(session)
    numbered = enumerate(lines, 1)
    while part := list(islice(numbered, BATCH)):
        chunk = [(number, line) for number, line in part if line.strip()]
        with transaction(engine) as session:
            arrivals = list(_good(session, chunk, zones, complain))
            added, renewed = _settle(session, arrivals)
        tally.added += added
        tally.renewed += renewed
        tally.skipped += len(chunk) - len(arrivals)
        tally.size += sum(len(line) for _, line in part)
        progress(tally)
    return tally


def _good(
    session: Session,
    chunk: Sequence[tuple[int, str | bytes]],
    zones: frozenset[str],
    complain: Callable[[int, str], None],
) -> Iterator[_Arrival]:
    read = [(number, _read(line, zones)) for number, line in chunk]
    paths = {path for _, one in read if isinstance(one, _Arrival) for path in one.paths}
    known = topics.by_paths(session, paths)
    for number, one in read:
        if isinstance(one, str):
            complain(number, one)
        elif unknown := [path for path in one.paths if path not in known]:
            complain(number, f"topics: there is no topic {unknown[0]!r}")
        else:
            yield one


def _read(text: str | bytes, zones: frozenset[str]) -> _Arrival | str:
    """Return what the line says, or what is wrong with it in words that hold none of its values."""
    try:
        return _arrival(text, zones)
    except Invalid as error:
        return f"{error.field}: {error.detail}"
    except ValidationError as error:
        first: Any = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        return f"{where}: {first['msg']}" if where else "is not a line of one JSON object"


def _arrival(text: str | bytes, zones: frozenset[str]) -> _Arrival:
    if len(text) > LONGEST_LINE:
        raise Invalid("line", f"is longer than {LONGEST_LINE} characters")
    line = _Line.model_validate_json(text)
    if line.timezone is not None and line.timezone not in zones:
        raise Invalid("timezone", "is not an IANA time zone")
    if len(line.topics) > MOST_TOPICS:
        raise Invalid("topics", f"are more than {MOST_TOPICS}")
    language = parse_language(line.language) if line.language is not None else None
    registration = provider_door.check(
        line.provider,
        Registration(
            provider=line.provider,
            address=line.address,
            p256dh=line.keys.p256dh if line.keys else None,
            auth=line.keys.auth if line.keys else None,
        ),
    )
    if line.keys is not None and registration.p256dh is None:
        raise Invalid("keys", "only browsers have them")
    return _Arrival(
        registration=replace(registration, locale=parse_locale(line.locale) or language or ""),
        paths=tuple(dict.fromkeys(parse_path(path) for path in line.topics)),
        language=language,
        timezone=line.timezone,
    )


def _settle(session: Session, arrivals: Sequence[_Arrival]) -> tuple[int, int]:
    """Write the arrivals; returns how many lines made a reader, and how many renewed one."""
    at = datetime.now(UTC)
    merged: dict[bytes, _Arrival] = {}
    for arrival in arrivals:
        earlier = merged.get(arrival.address_hash)
        merged[arrival.address_hash] = arrival.after(earlier) if earlier else arrival
    owner = devices.lock_holders(session, merged)
    known = [(owner[digest], arrival) for digest, arrival in merged.items() if digest in owner]
    new = [(new_id(), arrival) for digest, arrival in merged.items() if digest not in owner]
    readers.revise_many(session, [(one, a.language, a.timezone) for one, a in known])
    devices.renew_many(session, [(one, arrival.registration) for one, arrival in known], at)
    readers.add_many(
        session, [(_reader(one, a), hash_token(secrets.token_hex())) for one, a in new]
    )
    devices.add_many(session, [(one, arrival.registration) for one, arrival in new], at)
    topic_ids = topics.by_paths(session, {path for a in merged.values() for path in a.paths})
    subscriptions.add_many(
        session, ((one, topic_ids[path].id) for one, a in known + new for path in a.paths)
    )
    return len(new), len(arrivals) - len(new)


def _reader(reader_id: int, arrival: _Arrival) -> Reader:
    return Reader(
        id=reader_id, language=arrival.language or "en", timezone=arrival.timezone or "UTC"
    )
