"""An upload: a picture becomes files, once, and stories name it by its path."""

import hashlib
from collections.abc import Mapping

from sqlalchemy import Engine

from service.domain.errors import Invalid
from service.domain.media.pictures import StoredPicture, id_in, ids_in
from service.domain.people import Caller
from service.domain.story import StoryText
from service.media.picture_sizes import SizedPicture
from service.store.session import transaction
from service.store.stories import pictures
from service.unit_of_work import UnitOfWork

RECIPE = b"1"
"""Changes with how pictures are sized, so that an address never gets other content."""


def picture_id(source: bytes) -> str:
    """Return the id of an upload: the same bytes are the same picture."""
    return hashlib.sha256(RECIPE + b":" + source).hexdigest()[:32]


def known_picture(engine: Engine, source: bytes) -> StoredPicture | None:
    """Return the picture of these bytes when it was uploaded before; None when it is new."""
    with transaction(engine) as session:
        return pictures.touch(session, picture_id(source))


def name_files(source: bytes, sizes: SizedPicture) -> dict[str, bytes]:
    """Return the files of a new picture by the names that they are stored under."""
    return {f"{picture_id(source)}-{end}": file for end, file in sizes.files.items()}


def keep_picture(
    engine: Engine,
    source: bytes,
    sizes: SizedPicture,
    files: Mapping[str, bytes],
    caller: Caller,
) -> StoredPicture:
    """Keep a new picture, with those files of it that are not stored elsewhere already.

    It goes after some days unless a story has it.
    """
    picture = StoredPicture(picture_id(source), sizes.width, sizes.height)
    with transaction(engine) as session:
        if files:
            pictures.add_files(session, files)
        pictures.add(session, picture, caller.name)
    return picture


def claim_pictures(work: UnitOfWork, text: StoryText) -> None:
    """Keep the pictures of a story for ever; raises `Invalid` when one of them does not exist."""
    lead = id_in(text.image_url or "")
    ids = ids_in(text.body) | ({lead} if lead else set())
    if not ids:
        return
    pictures.claim(work.session, ids)
    missing = ids - pictures.many(work.session, ids).keys()
    if missing:
        field = "image_url" if lead in missing else "body"
        raise Invalid(field, "A picture is no longer there: upload it again.")
