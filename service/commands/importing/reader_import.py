"""Import readers from a file, one JSON object a line: `newszop readers import`.

A line is `{"provider", "address", "keys"?, "topics"?, "language"?, "timezone"?, "locale"?}`. An
address that is known already renews its device and adds to what its reader follows, so the same
file may be read again after a correction or an interruption.
"""

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
from service.domain.people import Reader
from service.domain.time_zone import canonical_name
from service.domain.topic import parse_path
from service.store.readers import devices, readers, subscriptions
from service.store.schema import new_id
from service.store.session import transaction
from service.store.stories import topics

BATCH = 500
MAX_LINE = 64 * 1024
MAX_TOPICS = 1000


@dataclass(frozen=True, slots=True)
class Misfit:
    """A line that could not be read, and why; without a reason it is nothing, as a blank line."""

    why: str

    def __len__(self) -> int:
        """Return what it counts in the progress."""
        return 0


Line = str | bytes | Misfit


@dataclass(slots=True)
class Tally:
    """How many lines made a reader, renewed one, or were skipped, and the length of all read.

    `last_line` is the last that is written for good.
    """

    additions: int = 0
    renewals: int = 0
    skips: int = 0
    size: int = 0
    last_line: int = 0

    @property
    def lines(self) -> int:
        """All lines read so far."""
        return self.additions + self.renewals + self.skips


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    p256dh: str
    auth: str
    vapid_key: str | None = None


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
    """A valid line."""

    registration: Registration
    paths: tuple[str, ...]
    language: str | None
    timezone: str | None

    @property
    def address_hash(self) -> bytes:
        return devices.address_hash(self.registration.provider, self.registration.address)

    def after(self, earlier: "_Arrival") -> "_Arrival":
        """Return this line merged with an earlier one of the same address."""
        return replace(
            self,
            paths=earlier.paths + self.paths,
            language=self.language or earlier.language,
            timezone=self.timezone or earlier.timezone,
        )


def import_readers(
    engine: Engine,
    lines: Iterable[Line],
    *,
    check: Callable[[Registration], Registration] | None = None,
    dry_run: bool = False,
    first: int = 1,
    progress: Callable[[Tally], None] = lambda _: None,
    complain: Callable[[int, str], None] = lambda _line, _why: None,
) -> Tally:
    """Read the lines, one transaction for some hundred; return what became of them.

    Blank lines are nothing. A line that is wrong is skipped after `complain(its number, why)`,
    which never says an address. `check` returns a registration in its normal form, with its app.
    A dry run writes nothing; lines before the `first` were read in an earlier run.
    """
    tally = Tally()
    numbered_lines = islice(enumerate(lines, 1), first - 1, None)
    check = check or (lambda each: provider_door.check(each.provider, each))
    while part := list(islice(numbered_lines, BATCH)):
        chunk = [(number, line) for number, line in part if _says_something(line)]
        with transaction(engine) as session:
            arrivals = list(_valid_arrivals(session, chunk, check, complain))
            new_count, known_count = _write_arrivals(session, arrivals)
            if dry_run:
                session.rollback()
        tally.additions += new_count
        tally.renewals += known_count
        tally.last_line = part[-1][0]
        tally.skips += len(chunk) - len(arrivals)
        tally.size += sum(len(line) for _, line in part)
        progress(tally)
    return tally


def _valid_arrivals(
    session: Session,
    chunk: Sequence[tuple[int, Line]],
    check: Callable[[Registration], Registration],
    complain: Callable[[int, str], None],
) -> Iterator[_Arrival]:
    read = [(number, _read(line, check)) for number, line in chunk]
    paths = {path for _, one in read if isinstance(one, _Arrival) for path in one.paths}
    topic_ids = topics.by_paths(session, paths)
    for number, one in read:
        if isinstance(one, str):
            complain(number, one)
        elif unknown := [path for path in one.paths if path not in topic_ids]:
            complain(number, f"topics: there is no topic {unknown[0]!r}")
        else:
            yield one


def _says_something(line: Line) -> bool:
    return bool(line.why if isinstance(line, Misfit) else line.strip())


def _read(line: Line, check: Callable[[Registration], Registration]) -> _Arrival | str:
    """Return the line's content, or what is wrong with it without repeating any of its values."""
    if isinstance(line, Misfit):
        return line.why
    try:
        return _arrival(line, check)
    except Invalid as error:
        return f"{error.field}: {error.detail}"
    except ValidationError as error:
        first: Any = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        return f"{where}: {first['msg']}" if where else "is not a line of one JSON object"


def _arrival(text: str | bytes, check: Callable[[Registration], Registration]) -> _Arrival:
    if len(text) > MAX_LINE:
        raise Invalid("line", f"is longer than {MAX_LINE} characters")
    line = _Line.model_validate_json(text)
    timezone = canonical_name(line.timezone) if line.timezone is not None else None
    if line.timezone is not None and timezone is None:
        raise Invalid("timezone", "is not an IANA time zone")
    if len(line.topics) > MAX_TOPICS:
        raise Invalid("topics", f"are more than {MAX_TOPICS}")
    language = parse_language(line.language) if line.language is not None else None
    registration = check(
        Registration(
            provider=line.provider,
            address=line.address,
            p256dh=line.keys.p256dh if line.keys else None,
            auth=line.keys.auth if line.keys else None,
            vapid_key=line.keys.vapid_key if line.keys else None,
        ),
    )
    if line.keys is not None and registration.p256dh is None:
        raise Invalid("keys", "only browsers have them")
    return _Arrival(
        registration=replace(registration, locale=parse_locale(line.locale) or language or ""),
        paths=tuple(dict.fromkeys(parse_path(path) for path in line.topics)),
        language=language,
        timezone=timezone,
    )


def _write_arrivals(session: Session, arrivals: Sequence[_Arrival]) -> tuple[int, int]:
    """Write the arrivals; returns how many lines made a reader, and how many renewed one."""
    now = datetime.now(UTC)
    by_address: dict[bytes, _Arrival] = {}
    for arrival in arrivals:
        earlier = by_address.get(arrival.address_hash)
        by_address[arrival.address_hash] = arrival.after(earlier) if earlier else arrival
    owner = devices.lock_holders(session, by_address)
    holders = [
        (owner[digest], arrival) for digest, arrival in by_address.items() if digest in owner
    ]
    new = [(new_id(), arrival) for digest, arrival in by_address.items() if digest not in owner]
    readers.revise_many(session, [(one, a.language, a.timezone) for one, a in holders])
    devices.renew_many(session, [(one, arrival.registration) for one, arrival in holders], now)
    readers.add_imported(session, [_reader(one, arrival) for one, arrival in new])
    devices.add_many(session, [(one, arrival.registration) for one, arrival in new], now)
    topic_ids = topics.by_paths(session, {path for a in by_address.values() for path in a.paths})
    subscriptions.add_many(
        session, ((one, topic_ids[path].id) for one, a in holders + new for path in a.paths)
    )
    return len(new), len(arrivals) - len(new)


def _reader(reader_id: int, arrival: _Arrival) -> Reader:
    return Reader(
        id=reader_id, language=arrival.language or "en", timezone=arrival.timezone or "UTC"
    )
