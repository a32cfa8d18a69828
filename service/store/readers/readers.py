"""The table `reader`: those who follow topics."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.language import base_languages
from service.domain.people import QuietHours, Reader
from service.store.driver_statement import DriverStatement

_COLUMNS = (
    "id, language, languages, timezone, quiet_from, quiet_to, alerts_per_day, results, digest"
)

_BY_TOKEN = text(f"""
    SELECT {_COLUMNS} FROM reader WHERE token_hash = :token_hash
    UNION ALL
    SELECT {_COLUMNS} FROM reader WHERE id = (
        SELECT reader_id FROM reader_login WHERE token_hash = :token_hash)
    LIMIT 1""")
"""A person who has logged in has a token for each login; the first branch finds all others."""

_BY_TOKENS = DriverStatement(f"""
    SELECT token_hash, {_COLUMNS} FROM reader WHERE token_hash = ANY(CAST(:hashes AS bytea[]))
    UNION ALL
    SELECT login.token_hash, {_COLUMNS} FROM reader_login AS login JOIN reader ON id = reader_id
    WHERE login.token_hash = ANY(CAST(:hashes AS bytea[]))""")

_WITH_ZONE = """
    WITH zone AS (
        INSERT INTO time_zone SELECT CAST(:timezone AS text)
        WHERE CAST(:timezone AS text) IS NOT NULL ON CONFLICT DO NOTHING)"""
"""The table `time_zone` has the names in use: one that a newer `tzdata` brought is added here."""

_ADD = text(f"""{_WITH_ZONE}
    INSERT INTO reader (id, token_hash, language, languages, reads, timezone, quiet_from, quiet_to,
        results)
    VALUES (:id, :token_hash, :language, CAST(:languages AS text[]), CAST(:reads AS text[]),
        :timezone, :quiet_from, :quiet_to, :results)""")

_ADD_IMPORTED = text(f"""{_WITH_ZONE}
    INSERT INTO reader (id, token_hash, language, timezone, unclaimed)
    VALUES (:id, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), :language,
        :timezone, true)""")
"""No token has this hash."""

_ADD_GROUP = DriverStatement("""
    WITH zone AS (
        INSERT INTO time_zone SELECT DISTINCT unnest(CAST(:timezones AS text[])) ORDER BY 1
        ON CONFLICT DO NOTHING)
    INSERT INTO reader (id, token_hash, language, timezone, quiet_from, quiet_to, languages, reads)
    SELECT id, hash, language, timezone, quiet_from, quiet_to, string_to_array(read, ','),
        string_to_array(base, ',')
    FROM unnest(CAST(:ids AS bigint[]), CAST(:hashes AS bytea[]),
        CAST(:languages AS text[]), CAST(:timezones AS text[]), CAST(:froms AS time[]),
        CAST(:tos AS time[]), CAST(:read AS text[]), CAST(:bases AS text[]))
        AS newcomer (id, hash, language, timezone, quiet_from, quiet_to, read, base)""")
"""A tag has no comma in it: lists of unequal length travel as text."""

_UNCLAIMED = text("""
    SELECT reader.id FROM device JOIN reader ON reader.id = device.reader_id
    WHERE device.address_hash = ANY(:hashes) AND device.gone_at IS NULL AND reader.unclaimed
    ORDER BY reader.id""")

_CHANGE = text(f"""{_WITH_ZONE}
    UPDATE reader SET language = :language, languages = CAST(:languages AS text[]),
        reads = CAST(:reads AS text[]), timezone = :timezone, quiet_from = :quiet_from,
        quiet_to = :quiet_to, alerts_per_day = :alerts_per_day, results = :results,
        digest = :digest
    WHERE id = :id RETURNING id""")

_REVISE = text(f"""{_WITH_ZONE}
    UPDATE reader SET language = coalesce(:language, language),
        timezone = coalesce(:timezone, timezone)
    WHERE id = :id""")

_LOCK = text(f"SELECT {_COLUMNS} FROM reader WHERE id = :id FOR NO KEY UPDATE")
_LOCK_DEVICES = text("SELECT id FROM device WHERE reader_id = :id ORDER BY id FOR UPDATE")
_ERASE = text("DELETE FROM reader WHERE id = :id RETURNING id")
_EXPORT = text("SELECT created_at, external_id FROM reader WHERE id = :id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderRecord:
    """All that is kept of a reader's own row, but for the token's hash."""

    reader: Reader
    created_at: datetime
    external_id: str | None


def by_token(session: Session, token_hash: bytes) -> Reader | None:
    """Return the reader whose token has this hash."""
    row = session.execute(_BY_TOKEN, {"token_hash": token_hash}).one_or_none()
    return _reader(row) if row is not None else None


def by_tokens(session: Session, hashes: Iterable[bytes]) -> dict[bytes, Reader]:
    """Return the readers whose tokens have these hashes, by hash."""
    rows = _BY_TOKENS.run(session, {"hashes": list(hashes)})
    return {row.token_hash: _reader(row) for row in rows}


def lock(session: Session, reader_id: int) -> Reader | None:
    """Return the reader; no other transaction changes it before this one ends."""
    row = session.execute(_LOCK, {"id": reader_id}).one_or_none()
    return _reader(row) if row is not None else None


def add(session: Session, reader: Reader, token_hash: bytes) -> None:
    """Keep a new reader."""
    session.execute(_ADD, {**_values(reader), "token_hash": token_hash})


def add_imported(session: Session, readers: Sequence[Reader]) -> None:
    """Keep new readers whom nobody has a token of: the next who register their addresses."""
    if readers:
        session.execute(_ADD_IMPORTED, [_values(reader) for reader in readers])


def unclaimed_at(session: Session, hashes: Iterable[bytes]) -> list[int]:
    """Return the imported readers at these addresses whom nobody has claimed."""
    return list(session.execute(_UNCLAIMED, {"hashes": list(hashes)}).scalars())


def add_group(session: Session, readers: Sequence[tuple[Reader, bytes]]) -> None:
    """Keep new readers, each with the hash of its token, by one statement."""
    quiet_hours = [reader.quiet_hours for reader, _ in readers]
    values = {
        "ids": [reader.id for reader, _ in readers],
        "hashes": [digest for _, digest in readers],
        "languages": [reader.language for reader, _ in readers],
        "timezones": [reader.timezone for reader, _ in readers],
        "froms": [quiet and quiet.begin for quiet in quiet_hours],
        "tos": [quiet and quiet.end for quiet in quiet_hours],
        "read": [",".join(reader.languages) for reader, _ in readers],
        "bases": [",".join(_bases(reader)) for reader, _ in readers],
    }
    _ADD_GROUP.run(session, values)


def revise_many(session: Session, changes: Sequence[tuple[int, str | None, str | None]]) -> None:
    """Change languages and time zones by reader's id; None leaves what is there."""
    values = [
        {"id": reader_id, "language": language, "timezone": timezone}
        for reader_id, language, timezone in sorted(changes, key=itemgetter(0))
        if language or timezone
    ]
    if values:
        session.execute(_REVISE, values)


def change(session: Session, reader: Reader) -> bool:
    """Keep what the reader wants from now on; False when it was erased meanwhile."""
    return session.execute(_CHANGE, _values(reader)).one_or_none() is not None


def erase(session: Session, reader_id: int) -> bool:
    """Delete the reader with all devices and subscriptions; False when there is none."""
    session.execute(_LOCK_DEVICES, {"id": reader_id})
    return session.execute(_ERASE, {"id": reader_id}).one_or_none() is not None


def export(session: Session, reader: Reader) -> ReaderRecord | None:
    """Return all that is kept of the reader's own row; None when it was erased meanwhile."""
    row = session.execute(_EXPORT, {"id": reader.id}).mappings().one_or_none()
    return None if row is None else ReaderRecord(reader=reader, **row)


def _values(reader: Reader) -> dict[str, Any]:
    quiet = reader.quiet_hours
    return {
        "id": reader.id,
        "language": reader.language,
        "languages": list(reader.languages),
        "reads": _bases(reader),
        "timezone": reader.timezone,
        "quiet_from": quiet.begin if quiet else None,
        "quiet_to": quiet.end if quiet else None,
        "alerts_per_day": reader.alerts_per_day,
        "results": reader.results,
        "digest": reader.digest,
    }


def _bases(reader: Reader) -> list[str]:
    return sorted(base_languages(reader.languages))


def _reader(row: Any) -> Reader:
    quiet = None if row.quiet_from is None else QuietHours(row.quiet_from, row.quiet_to)
    return Reader(
        id=row.id,
        language=row.language,
        languages=tuple(row.languages),
        timezone=row.timezone,
        quiet_hours=quiet,
        alerts_per_day=row.alerts_per_day,
        results=row.results,
        digest=row.digest,
    )
