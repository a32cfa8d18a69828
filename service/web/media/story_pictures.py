"""What pages must know of the stories' pictures: which are ours, and their sizes."""

from collections.abc import Iterable

from sqlmodel import Session

from service.domain.media.pictures import StoredPicture, id_in
from service.domain.story import Story
from service.store.stories import pictures


def own_pictures(session: Session, items: Iterable[Story]) -> dict[str, StoredPicture]:
    """Return the pictures of ours that stories have, by `image_url`. Others cost no query."""
    ids = {
        url: picture_id
        for story in items
        if (url := story.text.image_url) and (picture_id := id_in(url))
    }
    if not ids:
        return {}
    by_id = pictures.many(session, set(ids.values()))
    return {url: by_id[picture_id] for url, picture_id in ids.items() if picture_id in by_id}
