"""What `newszop backup` and `restore` say of pictures whose files are not in the database."""

from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from service.media.folder_storage import FolderStorage
from service.media_settings import IN_POSTGRES, S3_SCHEME, MediaSettings
from service.store.stories import pictures


def say_after_backup(engine: Engine, settings: MediaSettings) -> list[str]:
    """Return what is to be copied besides; nothing where the backup has all files."""
    with Session(engine) as session:
        number = len(pictures.stored_elsewhere(session))
    if not number:
        return []
    words = f"Not in this file: {number:,} pictures. Copy {_place(settings)} as well, now:"
    return [f"{words} then no picture that the file names is missing."]


def say_after_restore(engine: Engine, settings: MediaSettings) -> list[str]:
    """Return which pictures have no files yet, and where these belong."""
    with Session(engine) as session:
        uploads = pictures.stored_elsewhere(session)
    if not uploads:
        return []
    if settings.media.startswith(S3_SCHEME):
        return [f"{len(uploads):,} pictures are expected in {_place(settings)}."]
    if settings.media == IN_POSTGRES:
        words = f"{len(uploads):,} pictures were in a folder or a bucket: copy that here as well"
        return [f"{words}, and name it in NEWSZOP_MEDIA. Until then their places stay empty."]
    folder = FolderStorage(Path(settings.media))
    try:
        gaps = sum(not all(map(folder.holds, picture.file_names)) for picture in uploads)
    except OSError as error:
        words = f"Whether the {len(uploads):,} pictures are in {settings.media} cannot be seen"
        return [f"{words}: {error.strerror}."]
    if not gaps:
        return [f"All {len(uploads):,} pictures of the backup are in {settings.media}."]
    words = f"{gaps:,} of {len(uploads):,} pictures have no files in {settings.media}"
    return [f"{words}: copy them from the folder of the system that was backed up."]


def _place(settings: MediaSettings) -> str:
    if settings.media == IN_POSTGRES:
        return "the folder or bucket that NEWSZOP_MEDIA named before"
    kind = "the bucket" if settings.media.startswith(S3_SCHEME) else "the folder"
    return f"{kind} {settings.media.partition('?')[0]}"
