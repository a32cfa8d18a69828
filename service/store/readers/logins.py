"""People: readers whom the publisher knows by an id of its own, and what they have logged in with.

A person has one reader and any number of tokens, one for each browser or app that logged in. The
table `reader_login` has the token of each, and the devices that came through it.
"""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

_LOCK_ID = text("SELECT pg_advisory_xact_lock(hashtextextended(:external_id, 11))")
_FIND = text("SELECT id FROM reader WHERE external_id = :external_id")
_EXTERNAL_ID = text("SELECT external_id FROM reader WHERE id = :id")
_NAME = text("UPDATE reader SET external_id = :external_id WHERE id = :id")

_NOTE_LOGIN = text("""
    INSERT INTO reader_login (token_hash, reader_id, device_ids)
    VALUES (:token_hash, :reader_id, CAST(:device_ids AS bigint[]))
    ON CONFLICT (token_hash) DO UPDATE SET reader_id = excluded.reader_id,
        device_ids = excluded.device_ids""")
_NOTE_DEVICE = text("""
    UPDATE reader_login SET device_ids = CAST(:device_id AS bigint) || ARRAY(
        SELECT id FROM device WHERE id = ANY(device_ids) AND reader_id = reader_login.reader_id)
    WHERE token_hash = :token_hash AND NOT :device_id = ANY(device_ids)""")
_END_LOGIN = text("""
    DELETE FROM reader_login WHERE token_hash = :token_hash AND reader_id = :id
    RETURNING device_ids""")
_FREE_TOKEN = text("""
    UPDATE reader SET token_hash = uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    WHERE id = :id AND token_hash = :token_hash""")

_LOCK_READERS = text("SELECT id FROM reader WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
_LOCK_DEVICES = text("""
    SELECT id FROM device WHERE reader_id = ANY(:ids) ORDER BY id FOR UPDATE""")
_DEVICES = text("SELECT id FROM device WHERE reader_id = :id")
_UNITE_SUBSCRIPTIONS = text("""
    INSERT INTO subscription (reader_id, topic_id, least_urgency, muted_until, created_at)
    SELECT :person, topic_id, least_urgency, muted_until, created_at FROM subscription
    WHERE reader_id = :reader AND topic_id NOT IN (
        SELECT topic_id FROM subscription WHERE reader_id = :person)
    ORDER BY created_at DESC
    LIMIT greatest(:most - (SELECT count(*) FROM subscription WHERE reader_id = :person), 0)
    ON CONFLICT DO NOTHING""")
_KEEP_CHOICE = text("""
    UPDATE reader AS person SET results = joined.results FROM reader AS joined
    WHERE person.id = :person AND joined.id = :reader AND person.results IS NULL
        AND joined.results IS NOT NULL""")
_MOVE_ALL = text("UPDATE device SET reader_id = :person WHERE reader_id = :reader")
_MOVE_SOME = text("""
    UPDATE device SET reader_id = :reader WHERE reader_id = :person AND id = ANY(:device_ids)""")
_EVICT = text("""
    UPDATE device SET gone_at = now(), gone_why = :why, address = '', address_hash = '',
        p256dh = NULL, auth = NULL
    WHERE id IN (SELECT id FROM device WHERE reader_id = :person AND gone_at IS NULL
        ORDER BY registered_at DESC, id DESC OFFSET :most)""")
_MOVE_STAFF = text("UPDATE staff SET reader_id = :person WHERE reader_id = :reader")
_ERASE = text("DELETE FROM reader WHERE id = :reader")


def find_person(session: Session, external_id: str) -> int | None:
    """Return the person's reader; nobody else becomes this person before the transaction ends."""
    session.execute(_LOCK_ID, {"external_id": external_id})
    reader_id = session.execute(_FIND, {"external_id": external_id}).scalar_one_or_none()
    return None if reader_id is None else int(reader_id)


def external_id_of(session: Session, reader_id: int) -> str | None:
    """Return the publisher's id of a reader; None for an anonymous one."""
    external_id: str | None = session.execute(_EXTERNAL_ID, {"id": reader_id}).scalar_one_or_none()
    return external_id


def name_person(session: Session, reader_id: int, external_id: str) -> None:
    """Let a reader be this person from now on."""
    session.execute(_NAME, {"id": reader_id, "external_id": external_id})


def device_ids(session: Session, reader_id: int) -> list[int]:
    """Return the reader's devices; those that are gone too, for they may come back."""
    return list(session.execute(_DEVICES, {"id": reader_id}).scalars())


def note_login(
    session: Session, token_hash: bytes, reader_id: int, device_ids: Sequence[int]
) -> None:
    """Let the token stand for the person, together with the devices that came with it."""
    values = {"token_hash": token_hash, "reader_id": reader_id, "device_ids": list(device_ids)}
    session.execute(_NOTE_LOGIN, values)


def note_device(session: Session, token_hash: bytes, device_id: int) -> None:
    """Note that a device came through a login; of a token that is none, nothing.

    Devices that the person has no more are left out, so no login has more than a reader keeps.
    """
    session.execute(_NOTE_DEVICE, {"token_hash": token_hash, "device_id": device_id})


def end_login(session: Session, token_hash: bytes, person_id: int) -> list[int] | None:
    """Free the token and return the devices that came through it; None when it is no login."""
    values = {"id": person_id, "token_hash": token_hash}
    moving: list[int] | None = session.execute(_END_LOGIN, values).scalar_one_or_none()
    if moving is not None:
        session.execute(_FREE_TOKEN, values)
    return moving


def move_devices(
    session: Session, person_id: int, reader_id: int, device_ids: Sequence[int]
) -> None:
    """Give devices of a person to an anonymous reader."""
    session.execute(_LOCK_DEVICES, {"ids": [person_id]})
    values = {"person": person_id, "reader": reader_id, "device_ids": list(device_ids)}
    session.execute(_MOVE_SOME, values)


def join(
    session: Session,
    reader_id: int,
    person_id: int,
    *,
    most_devices: int,
    most_subscriptions: int,
    why_evicted: str,
) -> list[int]:
    """Make one reader of two: the person, with the devices and follows of both.

    Where both follow a topic, the person's own terms stay, and where both have said whether results
    may be counted, the person's word. Returns the devices that moved.
    """
    ids = [reader_id, person_id]
    session.execute(_LOCK_READERS, {"ids": ids})
    session.execute(_LOCK_DEVICES, {"ids": ids})
    moved = device_ids(session, reader_id)
    values = {"person": person_id, "reader": reader_id}
    session.execute(_UNITE_SUBSCRIPTIONS, {**values, "most": most_subscriptions})
    session.execute(_KEEP_CHOICE, values)
    session.execute(_MOVE_ALL, values)
    session.execute(_EVICT, {**values, "most": most_devices, "why": why_evicted})
    session.execute(_MOVE_STAFF, values)
    session.execute(_ERASE, values)
    return moved
