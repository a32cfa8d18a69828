"""One picture comes in many sizes: which one to show."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.formats.links import picture_address

GOOD_WIDTH = 1200
"""Pixels that a story page and a large notification picture need."""

PICTURE_CLASSES = ("picture", "graphic")
"""The values of the IPTC's news item nature that are still pictures."""

_SMALL = ("thumb", "small", "icon", "logo", "preview", "watermark")
_NO_PICTURE = (
    *(".mp4", ".mov", ".webm", ".avi", ".mpg", ".mpeg", ".m4v", ".ogv", ".m3u8"),
    *(".mp3", ".m4a", ".wav", ".ogg", ".pdf", ".zip"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One size of a picture, as a format names it."""

    address: str
    name: str = ""
    content_type: str = ""
    width: int | None = None
    height: int | None = None


def best_rendition(renditions: Iterable[Rendition], base: str | None) -> Rendition | None:
    """Return the rendition to show, its address absolute and over https; None without one.

    The narrowest of at least 1,200 pixels; without such a one the widest; of unknown widths the
    first whose name does not say that it is small.
    """
    usable = [
        Rendition(
            address=address,
            name=rendition.name.lower(),
            content_type=rendition.content_type,
            width=rendition.width,
            height=rendition.height,
        )
        for rendition in renditions
        if is_image(rendition) and (address := picture_address(rendition.address, base))
    ]
    return min(usable, key=_rank, default=None)


def is_image(rendition: Rendition) -> bool:
    """Whether a rendition is a still picture, by its type, or else by its address."""
    if rendition.content_type:
        return rendition.content_type.lower().startswith("image/")
    return not rendition.address.lower().partition("?")[0].endswith(_NO_PICTURE)


def _rank(rendition: Rendition) -> tuple[int, int]:
    if rendition.width is None:
        return (2, 1 if any(word in rendition.name for word in _SMALL) else 0)
    if rendition.width >= GOOD_WIDTH:
        return (0, rendition.width)
    return (1, -rendition.width)
