"""A feed added by its address, or by that of a page which announces it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.actions.feeds.feed_polling import ACCEPT, MOST_FEED_BYTES, OK, take_first_body
from service.actions.hook_deliveries import FEED
from service.actions.sources import SourceChange, add_source
from service.domain.errors import Conflict, Invalid, Refusal
from service.domain.people import Caller
from service.fetching.fetch import FetchedDocument, Fetcher, FetchRequest
from service.fetching.fetch_errors import FetchFailed
from service.formats.feeds.feed import Feed, parse_feed
from service.formats.feeds.opml import FeedAddress
from service.formats.links import absolute_link
from service.formats.text import search_key
from service.formats.web_page import discover_feeds
from service.settings import Settings
from service.store.stories import feeds, sources
from service.store.stories.sources import Source
from service.unit_of_work import UnitOfWork

MOST_NAME = 63
MOST_TRIES = 100
_NOT_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringFeed:
    """A feed that answers: what it says of itself, and the answer it came with."""

    address: str
    feed: Feed
    document: FetchedDocument


def find_feed(fetcher: Fetcher, address: str) -> AnsweringFeed:
    """Return the feed at an address, or the first that the page there announces.

    Raises `Invalid` that says in words what stood there instead.
    """
    link = absolute_link(address if "//" in address else f"https://{address}", None)
    if link is None:
        raise Invalid("address", "This is no address of a page or a feed.")
    document = _read(fetcher, link)
    try:
        return _parse_feed(document)
    except Refusal as refusal:
        for link in _announced_feeds(document):
            return _parse_feed(_read(fetcher, link))
        raise Invalid("address", f"There is no feed here: {refusal.detail[:300]}.") from None


def add_feed(
    work: UnitOfWork,
    answering_feed: AnsweringFeed,
    change: SourceChange,
    settings: Settings,
    caller: Caller,
) -> Source:
    """Add a feed as a source, named by its title, and take in what it has now.

    Raises `Conflict` when a source has this feed already.
    """
    feed = answering_feed.feed
    name = _free_name(work, feed.title or urlsplit(answering_feed.address).hostname or "feed")
    values = {"language": feed.language or "en"} | dict(change.values)
    change = SourceChange(values=values)
    source = add_source(work, FEED, name, change, settings.seal_keys, caller)
    store_feed(work, source, answering_feed.address)
    take_first_body(work, source, answering_feed.document, feed, settings)
    return source


def add_listed_feeds(
    work: UnitOfWork,
    feed_list: Sequence[FeedAddress],
    change: SourceChange,
    settings: Settings,
    caller: Caller,
) -> int:
    """Add the feeds of an OPML list that no source has yet; returns how many are new.

    Nothing is fetched here: the poller asks for them, one of a host at a time.
    """
    known_addresses = feeds.known_addresses(work.session, [each.address for each in feed_list])
    new_feeds = [each for each in feed_list if each.address not in known_addresses]
    for each in new_feeds:
        name = _free_name(work, each.title)
        source = add_source(work, FEED, name, change, settings.seal_keys, caller)
        store_feed(work, source, each.address)
    return len(new_feeds)


def store_feed(work: UnitOfWork, source: Source, address: str) -> None:
    """Keep where a source's feed is; raises `Conflict` when another source has it."""
    host = (urlsplit(address).hostname or "").lower()
    if not feeds.add(work.session, source.id, address, host):
        raise Conflict("This feed is among the sources already.")


def _free_name(work: UnitOfWork, title: str) -> str:
    stem = _NOT_NAME.sub("-", search_key(title)).strip("-")[: MOST_NAME - 4].strip("-") or "feed"
    names = (stem, *(f"{stem}-{n}" for n in range(2, MOST_TRIES)))
    for name in names:
        if sources.by_name(work.session, name) is None:
            return name
    raise Conflict(f"There are too many sources called {stem}: name this one.")


def _read(fetcher: Fetcher, address: str) -> FetchedDocument:
    request = FetchRequest(
        address=address, most_bytes=MOST_FEED_BYTES, headers={"Accept": f"text/html, {ACCEPT}"}
    )
    try:
        document = fetcher.fetch(request)
    except FetchFailed as failure:
        raise Invalid("address", failure.reason) from None
    if document.status != OK:
        host = urlsplit(document.address).hostname
        raise Invalid("address", f"{host} answers {document.status}.")
    return document


def _parse_feed(document: FetchedDocument) -> AnsweringFeed:
    feed = parse_feed(document.body, address=document.address, charset=document.charset)
    return AnsweringFeed(address=document.address, feed=feed, document=document)


def _announced_feeds(document: FetchedDocument) -> list[str]:
    try:
        return discover_feeds(document.body, address=document.address, charset=document.charset)
    except Refusal:
        return []
