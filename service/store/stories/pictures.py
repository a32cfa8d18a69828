"""The tables `picture` and `picture_file`: uploads, and their files where they stand here."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.domain.media.pictures import WIDE, StoredPicture

UNUSED_FOR = timedelta(days=7)
"""How long an upload that no story has is kept."""

_ADD = text("""
    INSERT INTO picture (id, width, height, uploaded_by)
    VALUES (:id, :width, :height, :uploaded_by)
    ON CONFLICT (id) DO UPDATE SET uploaded_at = now()""")
_TOUCH = text("""
    UPDATE picture SET uploaded_at = now() WHERE id = :id RETURNING id, width, height""")
_MANY = text("SELECT id, width, height FROM picture WHERE id = ANY(:ids)")
_CLAIM = text("UPDATE picture SET used = true WHERE id = ANY(:ids) AND NOT used")
_UNUSED = text("""
    SELECT id, width, height FROM picture
    WHERE NOT used AND uploaded_at < :before AND NOT EXISTS (
        SELECT FROM autosave WHERE position(picture.id IN autosave.content::text) > 0)
    ORDER BY uploaded_at LIMIT 1 FOR UPDATE SKIP LOCKED""")
_DELETE = text("DELETE FROM picture WHERE id = :id")

_ELSEWHERE = text(f"""
    SELECT id, width, height FROM picture WHERE NOT EXISTS (
        SELECT FROM picture_file WHERE name = picture.id || '-{WIDE}.jpg')""")

_ADD_FILE = text("""
    INSERT INTO picture_file (name, content) VALUES (:name, :content)
    ON CONFLICT (name) DO NOTHING""")
_FILE = text("SELECT content FROM picture_file WHERE name = :name")
_DELETE_FILES = text("DELETE FROM picture_file WHERE name = ANY(:names)")


def add(session: Session, picture: StoredPicture, uploaded_by: str) -> None:
    """Keep a picture; one that was uploaded before counts as uploaded now."""
    values = {"id": picture.id, "width": picture.width, "height": picture.height}
    session.execute(_ADD, values | {"uploaded_by": uploaded_by})


def touch(session: Session, picture_id: str) -> StoredPicture | None:
    """Return a picture that is uploaded once more; None when it is new."""
    row = session.execute(_TOUCH, {"id": picture_id}).one_or_none()
    return None if row is None else StoredPicture(row.id, row.width, row.height)


def many(session: Session, ids: Iterable[str]) -> dict[str, StoredPicture]:
    """Return those of the pictures that exist, by id."""
    rows = session.execute(_MANY, {"ids": sorted(ids)})
    return {row.id: StoredPicture(row.id, row.width, row.height) for row in rows}


def stored_elsewhere(session: Session) -> list[StoredPicture]:
    """Return the pictures whose files do not stand here."""
    return [StoredPicture(row.id, row.width, row.height) for row in session.execute(_ELSEWHERE)]


def claim(session: Session, ids: Iterable[str]) -> None:
    """Keep the pictures for ever: a story has them, now or in an earlier version."""
    session.execute(_CLAIM, {"ids": sorted(ids)})


def lock_oldest_unused(session: Session, now: datetime) -> StoredPicture | None:
    """Return a picture that no story and no autosaved text has had for long, and lock it."""
    row = session.execute(_UNUSED, {"before": now - UNUSED_FOR}).one_or_none()
    return None if row is None else StoredPicture(row.id, row.width, row.height)


def delete(session: Session, picture_id: str) -> None:
    """Delete the row of a picture, whose files are gone."""
    session.execute(_DELETE, {"id": picture_id})


def add_files(session: Session, files: Mapping[str, bytes]) -> None:
    """Keep files by their names; the name says the content, so one that is there stays."""
    session.execute(_ADD_FILE, [{"name": n, "content": c} for n, c in files.items()])


def read_file(session: Session, name: str) -> bytes | None:
    """Return a file's content; None when it does not stand here."""
    content = session.execute(_FILE, {"name": name}).scalar_one_or_none()
    return None if content is None else bytes(content)


def delete_files(session: Session, names: Iterable[str]) -> None:
    """Delete files."""
    session.execute(_DELETE_FILES, {"names": list(names)})
