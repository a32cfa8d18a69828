"""What the doctor says of the storage of pictures, where that is not PostgreSQL."""

import secrets
from collections.abc import Iterator

from service.domain.errors import Unavailable
from service.media.storage import open_elsewhere
from service.media_settings import S3_SCHEME, MediaSettings
from workers.upkeep.finding import Finding

PART = "pictures"
PROBE = b"a file of newszop doctor"
_LEAD_TO = {
    S3_SCHEME: "check NEWSZOP_MEDIA, the key and its rights: it puts, gets and deletes objects, "
    "and lists the bucket",
    "/": "check NEWSZOP_MEDIA and the folder's owner and rights",
}


def examine_storage(settings: MediaSettings) -> Iterator[Finding]:
    """Write, read and delete a file where pictures are stored; nothing to say of PostgreSQL."""
    storage = open_elsewhere(settings)
    if storage is None:
        return
    name = f"{secrets.token_hex(16)}-1.jpg"
    fault = ""
    try:
        is_empty = storage.read(name) is None
        storage.add({name: PROBE})
        is_back = storage.read(name) == PROBE
        storage.delete([name])
        if not (is_empty and is_back):
            fault = "a file that was written is not read again"
    except Unavailable as refusal:
        fault = " ".join(getattr(refusal, "__notes__", [])) or refusal.detail
    if not fault:
        yield Finding(PART, True, "A file was written, read and deleted.")
        return
    advice = next(words for scheme, words in _LEAD_TO.items() if settings.media.startswith(scheme))
    yield Finding(PART, False, f"Pictures cannot be stored ({fault}): {advice}.")
