"""Media RSS and enclosures: the pictures of an entry."""

from collections.abc import Iterator
from itertools import chain, islice

from service.formats.incoming import Picture
from service.formats.markup import pixels
from service.formats.renditions import Rendition, best_rendition, is_image
from service.formats.text import plain_line
from service.formats.xml_document import XmlElement, children, local_name, namespace_of, text_of

_MEDIA = (
    "http://search.yahoo.com/mrss/",
    "http://search.yahoo.com/mrss",
    "https://search.yahoo.com/mrss/",
)
MOST_PICTURES = 100
"""Read of one entry: the words of each are searched for in the whole entry."""
_ITUNES = "http://www.itunes.com/dtds/podcast-1.0.dtd"
_KINDS = {"image": "image/", "video": "video/", "audio": "audio/", "document": "application/"}


def entry_pictures(entry: XmlElement, base: str | None) -> list[Picture]:
    """Return the pictures of an RSS item or Atom entry, contents before thumbnails.

    The contents of a `media:group` are one picture in several sizes (Media RSS 1.5.1).
    """
    pictures = chain(_contents(entry, base), _enclosures(entry, base), _thumbnails(entry, base))
    return list(islice(filter(None, pictures), MOST_PICTURES))


def _contents(entry: XmlElement, base: str | None) -> Iterator[Picture | None]:
    for element in media_children(entry, "content"):
        yield _picture([_rendition(element)], (element, entry), base)
    for group in media_children(entry, "group"):
        contents = list(media_children(group, "content"))
        sizes = [_rendition(element) for element in contents]
        yield _picture(sizes, (*contents, group, entry), base)


def _enclosures(entry: XmlElement, base: str | None) -> Iterator[Picture | None]:
    for element in children(entry, "enclosure", "link"):
        address = element.get("url", "") or element.get("href", "")
        content_type = element.get("type", "")
        relation = "enclosure" if local_name(element) == "enclosure" else element.get("rel", "")
        if relation == "enclosure" and content_type.startswith("image/"):
            yield _picture([Rendition(address=address, content_type=content_type)], (entry,), base)


def _thumbnails(entry: XmlElement, base: str | None) -> Iterator[Picture | None]:
    holders = [entry, *media_children(entry, "content"), *media_children(entry, "group")]
    sizes = [
        _rendition(element) for holder in holders for element in media_children(holder, "thumbnail")
    ]
    yield _picture(sizes, (entry,), base)
    for element in children(entry, "image"):
        if namespace_of(element) == _ITUNES:
            yield _picture([Rendition(address=element.get("href", ""))], (entry,), base)
        elif not namespace_of(element):
            address = text_of(next(children(element, "url"), None)) or text_of(element)
            yield _picture([Rendition(address=address)], (entry,), base)


def media_children(element: XmlElement, name: str) -> Iterator[XmlElement]:
    """Yield the children of a name in the namespace of Media RSS."""
    return (child for child in children(element, name) if namespace_of(child) in _MEDIA)


def media_text(element: XmlElement, name: str) -> str:
    """Return a Media RSS text (`title`, `description`, `credit`) as a plain line."""
    return plain_line(text_of(next(media_children(element, name), None)))


def _rendition(element: XmlElement) -> Rendition:
    kind = _KINDS.get(element.get("medium", "").lower(), "")
    return Rendition(
        address=element.get("url", ""),
        content_type=element.get("type", "") or kind,
        width=pixels(element.get("width", "")),
        height=pixels(element.get("height", "")),
    )


def _picture(
    sizes: list[Rendition], scopes: tuple[XmlElement, ...], base: str | None
) -> Picture | None:
    best = best_rendition([size for size in sizes if size.address and is_image(size)], base)
    if best is None:
        return None
    caption = _first_text(scopes, "description")
    return Picture(
        url=best.address,
        alt=_first_text(scopes, "title") or caption,
        caption=caption,
        credit=_first_text(scopes, "credit"),
        width=best.width,
        height=best.height,
    )


def _first_text(scopes: tuple[XmlElement, ...], name: str) -> str:
    return next((text for scope in scopes if (text := media_text(scope, name))), "")
