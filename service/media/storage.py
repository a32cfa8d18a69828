"""Where the files of pictures are stored outside PostgreSQL; a file's name says its content.

What is stored in PostgreSQL is written and read with its row. What stands elsewhere may take
seconds: it is called without a slot and without an open transaction, but for the sweep.
"""

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
    """Keeps files by their names. Raises `Unavailable` when it cannot be reached."""

    def add(self, files: Mapping[str, bytes]) -> None:
        """Keep the files; one that is there may be written again."""

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None when there is none of this name."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; one that is not there is no error."""


def open_elsewhere(settings: MediaSettings) -> PictureStorage | None:
    """Return the storage that the settings name outside PostgreSQL; None when they name none."""
    if settings.media == IN_POSTGRES:
        return None
    if settings.media.startswith(S3_SCHEME):
        return S3Storage(settings)
    return FolderStorage(Path(settings.media))


def delete_oldest_unused(engine: Engine, elsewhere: PictureStorage | None, now: datetime) -> bool:
    """Delete the oldest upload that no story has had for long; False when there is none.

    Its row stays locked until its files are gone, so no story takes it meanwhile.
    """
    with transaction(engine) as session:
        picture = pictures.lock_oldest_unused(session, now)
        if picture is None:
            return False
        if elsewhere is not None:
            elsewhere.delete(picture.file_names)
        pictures.delete_files(session, picture.file_names)
        pictures.delete(session, picture.id)
    return True
