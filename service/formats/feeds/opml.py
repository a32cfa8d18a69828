"""OPML 1.0 and 2.0: the list of feeds that another reader exports."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.formats.incoming import Flaw, MalformedDocument
from service.formats.links import absolute_link
from service.formats.text import plain_line
from service.formats.xml_document import (
    XmlElement,
    children,
    first_child,
    local_name,
    parse_feed_xml,
)

MAX_SUBSCRIPTIONS = 2000
MAX_TITLE = 200


@dataclass(frozen=True, slots=True)
class FeedAddress:
    """One feed of a list: where it is, what it is called, and the folders it stands in."""

    address: str
    title: str
    home_page: str | None
    folders: tuple[str, ...]


def parse_opml(document: bytes) -> tuple[FeedAddress, ...]:
    """Return the feeds of a list, each address once, at most 2,000.

    An outline without an address over http is a folder or is skipped. Raises `TooLarge`, or
    `MalformedDocument` for what is no OPML or holds no feed.
    """
    root = parse_feed_xml(document)
    body = first_child(root, "body")
    if local_name(root).lower() != "opml" or body is None:
        raise MalformedDocument([Flaw("/", "is no OPML: it has no opml/body")])
    feeds: dict[str, FeedAddress] = {}
    for feed in _feeds(body, ()):
        feeds.setdefault(feed.address, feed)
        if len(feeds) == MAX_SUBSCRIPTIONS:
            break
    if not feeds:
        raise MalformedDocument([Flaw("/opml/body", "holds no feed")])
    return tuple(feeds.values())


def _feeds(element: XmlElement, folders: tuple[str, ...]) -> Iterator[FeedAddress]:
    for outline in children(element, "outline"):
        title = plain_line(outline.get("title", "") or outline.get("text", ""))[:MAX_TITLE]
        address = absolute_link(outline.get("xmlUrl", "") or outline.get("xmlurl", ""), None)
        if address:
            home_page = absolute_link(outline.get("htmlUrl", ""), address)
            yield FeedAddress(address, title or address, home_page, folders)
        yield from _feeds(outline, (*folders, title) if title and not address else folders)
