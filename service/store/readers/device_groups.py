"""The table `device` for many readers at once: registrations in their two usual forms.

Nothing here waits for a row that somebody else has locked: `devices.register` decides then, as in
every other unusual case.
"""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from service.domain.device import MAX_DEVICES_PER_READER, Registration
from service.store.driver_statement import DriverStatement
from service.store.readers.devices import address_hash, lock_key
from service.store.schema import new_id

_CALLS = """
    WITH call AS (
        SELECT * FROM unnest(CAST(:hashes AS bytea[]), CAST(:address_hashes AS bytea[]),
            CAST(:apps AS text[]), CAST(:kinds AS text[]), CAST(:p256dhs AS text[]),
            CAST(:auths AS text[]), CAST(:vapid_keys AS text[]), CAST(:locales AS text[]),
            CAST(:app_versions AS text[]), CAST(:addresses AS text[]), CAST(:keys AS bigint[]),
            CAST(:ids AS bigint[]))
            WITH ORDINALITY AS call(token_hash, address_hash, app, kind, p256dh, auth, vapid_key,
                locale, app_version, address, key, id, n))"""

_RENEW = DriverStatement(f"""{_CALLS},
    renewal AS MATERIALIZED (
        SELECT device.id AS device_id, call.* FROM call JOIN reader USING (token_hash)
        JOIN device ON device.address_hash = call.address_hash AND device.reader_id = reader.id
        WHERE gone_at IS NULL FOR UPDATE OF device SKIP LOCKED)
    UPDATE device SET registered_at = now(), provider = renewal.app, kind = renewal.kind,
        p256dh = renewal.p256dh, auth = renewal.auth, vapid_key = renewal.vapid_key,
        locale = renewal.locale, app_version = renewal.app_version, stale = false
    FROM renewal WHERE device.id = renewal.device_id RETURNING renewal.n, device.id""")

_ADD = DriverStatement(f"""{_CALLS},
    owned AS MATERIALIZED (
        SELECT call.*, reader.id AS reader_id FROM call JOIN reader USING (token_hash)
        WHERE external_id IS NULL FOR NO KEY UPDATE OF reader SKIP LOCKED),
    usual AS MATERIALIZED (
        SELECT * FROM owned WHERE pg_try_advisory_xact_lock(key)
            AND NOT EXISTS (SELECT FROM device
                WHERE device.address_hash = owned.address_hash AND gone_at IS NULL)
            AND NOT EXISTS (SELECT FROM device
                WHERE device.address_hash = owned.address_hash AND gone_at IS NOT NULL
                    AND device.kind = 'endpoint')
            AND (SELECT count(*) < :few_enough
                    AND count(*) FILTER (WHERE device.address_hash = owned.address_hash) = 0
                FROM device WHERE device.reader_id = owned.reader_id))
    INSERT INTO device (id, reader_id, provider, kind, address, address_hash, p256dh, auth,
        vapid_key, locale, app_version, registered_at)
    SELECT id, reader_id, app, kind, address, address_hash, p256dh, auth, vapid_key, locale,
        app_version, now() FROM usual
    ON CONFLICT DO NOTHING RETURNING id""")

MARGIN = 4
"""A reader who has nearly as many devices as we keep registers with its row locked before it is
read, on the ordinary path. Here each process adds at most one device of a reader at a time."""
_FEW_ENOUGH = MAX_DEVICES_PER_READER - MARGIN


def renew_all(
    session: Session, registrations: Sequence[tuple[bytes, Registration]]
) -> list[int | None]:
    """Renew devices that readers, by the hashes of their tokens, have; return the devices' ids.

    None where the reader has no such device, or somebody else has locked it.
    """
    rows = _RENEW.run(session, _values(registrations))
    ids = {row.n: int(row.id) for row in rows}
    return [ids.get(n) for n in range(1, len(registrations) + 1)]


def add_all(
    session: Session, registrations: Sequence[tuple[bytes, Registration]]
) -> list[int | None]:
    """Add devices at addresses that nobody has or had, to anonymous readers with few devices.

    Returns the devices' ids; None where anything is otherwise. Neither an address nor a reader may
    occur twice. Addresses and readers are locked as `devices.register` locks them, so of two that
    register the same address at the same time one comes after the other.
    """
    values = _values(registrations)
    rows = _ADD.run(session, {**values, "few_enough": _FEW_ENOUGH})
    new_ids = {row.id for row in rows}
    return [device_id if device_id in new_ids else None for device_id in values["ids"]]


def _values(registrations: Sequence[tuple[bytes, Registration]]) -> dict[str, list[Any]]:
    hashes = [address_hash(r.provider, r.address) for _, r in registrations]
    return {
        "hashes": [digest for digest, _ in registrations],
        "address_hashes": hashes,
        "apps": [r.app or r.provider for _, r in registrations],
        "kinds": [r.kind for _, r in registrations],
        "p256dhs": [r.p256dh for _, r in registrations],
        "auths": [r.auth for _, r in registrations],
        "vapid_keys": [r.vapid_key for _, r in registrations],
        "locales": [r.locale for _, r in registrations],
        "app_versions": [r.app_version for _, r in registrations],
        "addresses": [r.address for _, r in registrations],
        "keys": [lock_key(digest) for digest in hashes],
        "ids": [new_id() for _ in registrations],
    }
