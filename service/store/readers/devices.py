"""The table `device`: where readers can be reached. Addresses come in and never come out in words.

Whatever changes several devices locks them in the order of their ids first, so that no two
transactions wait for each other.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from service.domain.device import (
    ENDPOINT,
    REMOVED,
    ConcernedDevice,
    Device,
    Placement,
    Registration,
    place,
)
from service.domain.errors import AddressGone, no_such
from service.store.paging import Page, after_moment, cut, read_moment
from service.store.schema import new_id

_SHOWN = "id, provider, locale, app_version, registered_at"

_RENEW = text(f"""
    UPDATE device SET registered_at = :at, provider = :app, kind = :kind, p256dh = :p256dh,
        auth = :auth, vapid_key = :vapid_key, locale = :locale, app_version = :app_version,
        stale = false
    WHERE address_hash = :address_hash AND gone_at IS NULL AND reader_id = :reader_id
    RETURNING {_SHOWN}""")

_LOCK_ADDRESSES = text(
    "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"
)
_LOCK_READER_TOO = text("""
    WITH held AS MATERIALIZED (
        SELECT count(pg_advisory_xact_lock(key)) AS n FROM unnest(CAST(:keys AS bigint[])) AS key)
    SELECT reader.id FROM held JOIN reader ON reader.id = :reader_id AND held.n > 0
    FOR NO KEY UPDATE OF reader""")

_CONCERNED = text("""
    SELECT id, reader_id = :reader_id AS mine, gone_at IS NULL AS live, address_hash, registered_at
    FROM device
    WHERE reader_id = :reader_id OR (address_hash = ANY(:hashes) AND gone_at IS NULL)
    ORDER BY id FOR UPDATE""")

_IS_DEAD = text("""
    SELECT EXISTS (SELECT 1 FROM device WHERE address_hash = :address_hash
        AND gone_at IS NOT NULL AND kind = 'endpoint' AND suspect_at IS NULL)""")

_TOMBSTONES = text("""
    UPDATE device SET gone_at = :at, gone_why = dead.why, address = '', address_hash = '',
        p256dh = NULL, auth = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:whys AS text[])) AS dead(id, why)
    WHERE device.id = dead.id""")

_PURGE = text("DELETE FROM device WHERE id = ANY(:ids)")

_TAKE = text(f"""
    UPDATE device SET registered_at = :at, provider = :app, kind = :kind, address = :address,
        address_hash = :address_hash, p256dh = :p256dh, auth = :auth, vapid_key = :vapid_key,
        locale = :locale, app_version = :app_version, gone_at = NULL, gone_why = NULL,
        stale = false, suspect_at = NULL, refusals = 0,
        trusted_at = CASE WHEN address_hash = :address_hash THEN trusted_at END
    WHERE id = :id RETURNING {_SHOWN}""")

_ADD = text(f"""
    INSERT INTO device (id, reader_id, provider, kind, address, address_hash, p256dh, auth,
        vapid_key, locale, app_version, registered_at, trusted_at)
    VALUES (:id, :reader_id, :app, :kind, :address, :address_hash, :p256dh, :auth,
        :vapid_key, :locale, :app_version, :at, :trusted_at)
    RETURNING {_SHOWN}""")

_LIVE = text(f"""
    SELECT {_SHOWN} FROM device WHERE reader_id = :reader_id AND gone_at IS NULL
    ORDER BY registered_at DESC, id DESC""")

_REMOVE = text("""
    UPDATE device SET gone_at = :at, gone_why = :why, address = '', address_hash = '',
        p256dh = NULL, auth = NULL
    WHERE id = :id AND reader_id = :reader_id AND gone_at IS NULL
    RETURNING id""")

_FORGET = text("""
    WITH dead AS (
        SELECT device.id FROM device
        JOIN unnest(CAST(:ids AS bigint[]), CAST(:sinces AS timestamptz[])) AS judged(id, since)
            ON judged.id = device.id
        WHERE gone_at IS NULL AND registered_at <= coalesce(judged.since, now())
        ORDER BY device.id FOR UPDATE OF device SKIP LOCKED)
    UPDATE device SET gone_at = now(), gone_why = :why, address = '', p256dh = NULL, auth = NULL
    FROM dead WHERE device.id = dead.id RETURNING device.id""")

_HOLDERS = text("""
    SELECT address_hash, reader_id FROM device
    WHERE address_hash = ANY(:hashes) AND gone_at IS NULL""")

_EXPORT = text("""
    SELECT id, provider, kind, address, p256dh, auth, locale, app_version, registered_at,
        gone_at, gone_why
    FROM device WHERE reader_id = :reader_id ORDER BY registered_at, id""")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """All that is kept of one device, for the reader who asks for it: never logged."""

    id: int
    provider: str
    kind: str
    address: str
    p256dh: str | None
    auth: str | None
    locale: str
    app_version: str
    registered_at: datetime
    gone_at: datetime | None
    gone_why: str | None


def address_hash(provider: str, address: str) -> bytes:
    """Return the digest by which an address is found, in whichever app of the provider it is."""
    return hashlib.sha256(f"{provider}\0{address}".encode()).digest()


def register(
    session: Session, reader_id: int, registration: Registration, now: datetime
) -> tuple[Device, bool]:
    """Give the address to this reader, its last registrant; say whether the device is new.

    A device that only renews itself, as most do at every start of an app, costs one statement.
    Anything else is decided by `place` with the addresses and the reader locked. Raises
    `AddressGone` for an endpoint whose push service said that it is dead, to any reader.
    """
    values = _values(reader_id, registration, now)
    if registration.replaces is None:
        renewal = session.execute(_RENEW, values).one_or_none()
        if renewal is not None:
            return _device(renewal), False
    new_hash = values["address_hash"]
    old_hash = None
    if registration.replaces is not None:
        old_hash = address_hash(registration.provider, registration.replaces)
    if registration.kind == ENDPOINT and session.execute(_IS_DEAD, values).scalar_one():
        raise AddressGone
    devices = _lock_concerned(session, reader_id, [h for h in (new_hash, old_hash) if h])
    placement = place(devices, new_hash, old_hash)
    _make_room(session, placement, now)
    if placement.keep is None:
        return _device(
            session.execute(_ADD, {**values, "id": new_id(), "trusted_at": None}).one()
        ), True
    return _device(session.execute(_TAKE, {**values, "id": placement.keep}).one()), False


def live(session: Session, reader_id: int) -> list[Device]:
    """Return the reader's devices, the last registered first; there are never many."""
    return [_device(row) for row in session.execute(_LIVE, {"reader_id": reader_id})]


def page(session: Session, reader_id: int, cursor: str | None, limit: int) -> Page[Device]:
    """Return some of the reader's devices, the last registered first."""
    after = read_moment(cursor)
    devices = live(session, reader_id)
    if after is not None:
        devices = [device for device in devices if (device.registered_at, device.id) < after]
    return cut(devices, limit, lambda device: after_moment(device.registered_at, device.id))


def remove(session: Session, reader_id: int, device_id: int, now: datetime) -> bool:
    """Make the reader's device a tombstone; False when the reader has no such device."""
    values = {"id": device_id, "reader_id": reader_id, "at": now, "why": REMOVED}
    return session.execute(_REMOVE, values).one_or_none() is not None


def forget(
    session: Session, verdicts: Sequence[tuple[int, datetime | None]], why: str
) -> list[int]:
    """Make tombstones of the devices that are dead since the moment beside their id.

    None is the start of this transaction. A device that registered after that moment is alive
    and stays, and so does one that somebody else has locked: it may be registering, and its next
    alert says the same. The ids of those that were forgotten are returned.
    """
    if not verdicts:
        return []
    values = {
        "ids": [device_id for device_id, _ in verdicts],
        "sinces": [since for _, since in verdicts],
        "why": why,
    }
    return [int(device_id) for device_id in session.execute(_FORGET, values).scalars()]


def export(session: Session, reader_id: int) -> list[DeviceRecord]:
    """Return all that is kept of the reader's devices, tombstones included."""
    rows = session.execute(_EXPORT, {"reader_id": reader_id}).mappings()
    return [DeviceRecord(**row) for row in rows]


def lock_holders(session: Session, hashes: Iterable[bytes]) -> dict[bytes, int]:
    """Return which reader has each address, leaving out those that nobody has.

    It stays so to the end of the transaction: nobody else can register them meanwhile.
    """
    digests = list(hashes)
    session.execute(_LOCK_ADDRESSES, {"keys": _lock_keys(digests)})
    rows = session.execute(_HOLDERS, {"hashes": digests})
    return {bytes(row.address_hash): int(row.reader_id) for row in rows}


def renew_many(
    session: Session, registrations: Sequence[tuple[int, Registration]], now: datetime
) -> None:
    """Renew devices that these readers have."""
    values = sorted(
        (_values(reader_id, one, now) for reader_id, one in registrations),
        key=itemgetter("reader_id"),
    )
    if values:
        session.execute(_RENEW, values)


def add_many(
    session: Session, registrations: Sequence[tuple[int, Registration]], now: datetime
) -> None:
    """Add devices at addresses that nobody has; an administrator imports them, so they count."""
    values = [
        {**_values(reader_id, one, now), "id": new_id(), "trusted_at": now}
        for reader_id, one in registrations
    ]
    if values:
        session.execute(_ADD, values)


def _lock_concerned(session: Session, reader_id: int, hashes: list[bytes]) -> list[ConcernedDevice]:
    """Lock the addresses, the reader and its devices, in this order everywhere; return the last."""
    values = {"keys": _lock_keys(hashes), "reader_id": reader_id}
    if session.execute(_LOCK_READER_TOO, values).one_or_none() is None:
        raise no_such("reader")
    rows = session.execute(_CONCERNED, {"reader_id": reader_id, "hashes": hashes})
    return [ConcernedDevice(**row) for row in rows.mappings()]


def _lock_keys(hashes: Iterable[bytes]) -> list[int]:
    return sorted({lock_key(digest) for digest in hashes})


def lock_key(digest: bytes) -> int:
    """Return the key of the lock under which an address is registered, by the address's hash."""
    return int.from_bytes(digest[:8], signed=True)


def _make_room(session: Session, placement: Placement, now: datetime) -> None:
    if placement.tombstones:
        ids, reasons = zip(*placement.tombstones, strict=True)
        session.execute(_TOMBSTONES, {"ids": list(ids), "whys": list(reasons), "at": now})
    if placement.purge:
        session.execute(_PURGE, {"ids": list(placement.purge)})


def _values(reader_id: int, registration: Registration, now: datetime) -> dict[str, Any]:
    return {
        "reader_id": reader_id,
        "app": registration.app or registration.provider,
        "kind": registration.kind,
        "address": registration.address,
        "address_hash": address_hash(registration.provider, registration.address),
        "p256dh": registration.p256dh,
        "auth": registration.auth,
        "vapid_key": registration.vapid_key,
        "locale": registration.locale,
        "app_version": registration.app_version,
        "at": now,
    }


def _device(row: Row[Any]) -> Device:
    return Device(
        id=row.id,
        provider=row.provider,
        locale=row.locale,
        app_version=row.app_version,
        registered_at=row.registered_at,
    )
