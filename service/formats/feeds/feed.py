"""A feed of any kind: its own facts, and the stories in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from service.formats.feeds.atom import read_atom
from service.formats.feeds.entries import FeedFacts
from service.formats.feeds.json_feed import read_json_feed
from service.formats.feeds.rss import read_rss
from service.formats.incoming import Flaw, MalformedDocument, Stories
from service.formats.xml_document import local_name, parse_feed_xml

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class FeedKind(StrEnum):
    """The three kinds of feeds; RSS 1.0 (RDF) counts as RSS."""

    RSS = "rss"
    ATOM = "atom"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a feed says of itself, and its stories in its own order, at most 500.

    `hubs` are WebSub hubs, `self_url` is the topic to subscribe to there. `minutes_between_polls`
    is the sender's wish (RSS `ttl`). A feed that is `complete` will not change any more.
    """

    kind: FeedKind
    title: str
    home_page: str | None
    language: str | None
    self_url: str | None
    hubs: tuple[str, ...]
    minutes_between_polls: int | None
    complete: bool
    stories: Stories


def parse_feed(
    document: bytes,
    *,
    address: str,
    charset: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Feed:
    """Read a feed that came from `address`; `charset` is that of its HTTP header.

    Categories become topics by `aliases`, which maps codes, and names in their search key. Raises
    `TooLarge` before parsing more than 8 MiB, `MalformedDocument` for what is no feed.
    """
    start = document[:100].lstrip(b"".join(_MARKS) + b"\0 \t\r\n")
    if start[:1] in (b"{", b"["):
        return _feed(FeedKind.JSON, read_json_feed(document, address, aliases))
    root = parse_feed_xml(document, charset=charset)
    name = local_name(root).lower()
    if name in ("rss", "rdf"):
        return _feed(FeedKind.RSS, read_rss(root, address, aliases))
    if name == "feed":
        return _feed(FeedKind.ATOM, read_atom(root, address, aliases))
    kind = "a web page" if name == "html" else f"a document of <{name[:40]}>"
    raise MalformedDocument([Flaw("/", f"is {kind}, not a feed")])


def _feed(kind: FeedKind, facts: FeedFacts) -> Feed:
    return Feed(
        kind=kind,
        title=facts.title,
        home_page=facts.home_page,
        language=facts.language,
        self_url=facts.self_url,
        hubs=tuple(dict.fromkeys(facts.hubs)),
        minutes_between_polls=facts.minutes_between_polls,
        complete=facts.complete,
        stories=tuple(facts.stories),
    )
