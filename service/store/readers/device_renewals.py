"""The table `device` for many readers at once: registrations that only renew themselves."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from service.domain.device import Registration
from service.store.readers.devices import address_hash

_RENEW = text("""
    WITH call AS (
        SELECT * FROM unnest(CAST(:hashes AS bytea[]), CAST(:address_hashes AS bytea[]),
            CAST(:apps AS text[]), CAST(:kinds AS text[]), CAST(:p256dhs AS text[]),
            CAST(:auths AS text[]), CAST(:vapid_keys AS text[]), CAST(:locales AS text[]),
            CAST(:app_versions AS text[]))
            WITH ORDINALITY AS call(token_hash, address_hash, app, kind, p256dh, auth, vapid_key,
                locale, app_version, n)),
    renewal AS MATERIALIZED (
        SELECT device.id AS device_id, call.* FROM call JOIN reader USING (token_hash)
        JOIN device ON device.address_hash = call.address_hash AND device.reader_id = reader.id
        WHERE gone_at IS NULL ORDER BY device.id FOR UPDATE OF device)
    UPDATE device SET registered_at = now(), provider = renewal.app, kind = renewal.kind,
        p256dh = renewal.p256dh, auth = renewal.auth, vapid_key = renewal.vapid_key,
        locale = renewal.locale, app_version = renewal.app_version
    FROM renewal WHERE device.id = renewal.device_id RETURNING renewal.n, device.id""")


def renew_all(
    session: Session, registrations: Sequence[tuple[bytes, Registration]]
) -> list[int | None]:
    """Renew devices that readers, by the hashes of their tokens, have; return the devices' ids.

    None where the reader has no such device: then `devices.register` decides. Rows are locked in
    the order of their ids, so that no two transactions wait for each other.
    """
    values = {
        "hashes": [digest for digest, _ in registrations],
        "address_hashes": [address_hash(r.provider, r.address) for _, r in registrations],
        "apps": [r.app or r.provider for _, r in registrations],
        "kinds": [r.kind for _, r in registrations],
        "p256dhs": [r.p256dh for _, r in registrations],
        "auths": [r.auth for _, r in registrations],
        "vapid_keys": [r.vapid_key for _, r in registrations],
        "locales": [r.locale for _, r in registrations],
        "app_versions": [r.app_version for _, r in registrations],
    }
    ids = {row.n: int(row.id) for row in session.execute(_RENEW, values)}
    return [ids.get(n) for n in range(1, len(registrations) + 1)]
