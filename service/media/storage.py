"""Where the files of pictures are stored; a name says its content, so a file never changes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from service.settings import Settings
from service.store.stories import pictures


class PictureStorage(Protocol):
    """Keeps files by their names. `session` is the open transaction, which some need."""

    def add(self, session: Session, files: Mapping[str, bytes]) -> None:
        """Keep the files; one that is there may be written again."""

    def read(self, session: Session, name: str) -> bytes | None:
        """Return a file's content; None when there is none of this name."""

    def delete(self, session: Session, names: Iterable[str]) -> None:
        """Delete files; one that is not there is no error."""


class TableStorage:
    """Files in PostgreSQL: every host has them, and a backup holds them."""

    def add(self, session: Session, files: Mapping[str, bytes]) -> None:
        """Keep the files with the transaction."""
        pictures.add_files(session, files)

    def read(self, session: Session, name: str) -> bytes | None:
        """Return a file's content."""
        return pictures.read_file(session, name)

    def delete(self, session: Session, names: Iterable[str]) -> None:
        """Delete files with the transaction."""
        pictures.delete_files(session, names)


def delete_unused(session: Session, storage: PictureStorage, now: datetime) -> int:
    """Delete pictures that were uploaded long ago and that no story has; return how many.

    Their rows stay locked until their files are gone, so no story takes one meanwhile.
    """
    unused = pictures.lock_unused(session, now)
    storage.delete(session, [name for one in unused for name in one.file_names])
    pictures.delete(session, [one.id for one in unused])
    return len(unused)


def open_storage(settings: Settings) -> PictureStorage:
    """Return the storage that the settings name."""
    del settings
    return TableStorage()
