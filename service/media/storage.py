"""Where the files of pictures are stored; a name says its content, so a file never changes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine

from service.media.folder_storage import FolderStorage
from service.media.s3_storage import S3Storage
from service.media_settings import IN_POSTGRES, S3_SCHEME, MediaSettings
from service.store.session import transaction
from service.store.stories import pictures


class PictureStorage(Protocol):
    """Keeps files by their names. Called without an open transaction: it may take seconds."""

    def add(self, files: Mapping[str, bytes]) -> None:
        """Keep the files; one that is there may be written again."""

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None when there is none of this name."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; one that is not there is no error."""


class TableStorage:
    """Files in PostgreSQL: every host has them, and a backup holds them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, files: Mapping[str, bytes]) -> None:
        """Keep the files."""
        with transaction(self._engine) as session:
            pictures.add_files(session, files)

    def read(self, name: str) -> bytes | None:
        """Return a file's content."""
        with transaction(self._engine) as session:
            return pictures.read_file(session, name)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        with transaction(self._engine) as session:
            pictures.delete_files(session, names)


class MovedStorage:
    """Files elsewhere, and those that were stored in PostgreSQL before the setting was changed."""

    def __init__(self, present: PictureStorage, earlier: PictureStorage) -> None:
        self._present = present
        self._earlier = earlier

    def add(self, files: Mapping[str, bytes]) -> None:
        """Keep the files where the setting says."""
        self._present.add(files)

    def read(self, name: str) -> bytes | None:
        """Return a file's content, wherever it is."""
        content = self._present.read(name)
        return self._earlier.read(name) if content is None else content

    def delete(self, names: Iterable[str]) -> None:
        """Delete files in both places."""
        name_list = list(names)
        self._present.delete(name_list)
        self._earlier.delete(name_list)


def open_storage(settings: MediaSettings, engine: Engine) -> PictureStorage:
    """Return the storage that the settings name. Nothing connects before it is used."""
    table = TableStorage(engine)
    if settings.media == IN_POSTGRES:
        return table
    if settings.media.startswith(S3_SCHEME):
        return MovedStorage(S3Storage(settings), table)
    return MovedStorage(FolderStorage(Path(settings.media)), table)


def delete_unused(engine: Engine, storage: PictureStorage, now: datetime) -> int:
    """Delete pictures that were uploaded long ago and that no story has; return how many.

    Their rows stay locked until their files are gone, so no story takes one meanwhile.
    """
    with transaction(engine) as session:
        uploads = pictures.lock_unused(session, now)
        if uploads:
            storage.delete([name for one in uploads for name in one.file_names])
            pictures.delete(session, [one.id for one in uploads])
    return len(uploads)
