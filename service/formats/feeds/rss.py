"""RSS 2.0 with its usual modules, 0.9x and 1.0, to stories."""

from collections.abc import Iterator, Mapping
from itertools import islice

from service.formats.feeds.entries import (
    MAX_ENTRIES,
    EntryFacts,
    FeedFacts,
    distinct_entries,
    entry_story,
)
from service.formats.feeds.media import entry_pictures
from service.formats.incoming import BrokenStory, IncomingStory, Report, Subject
from service.formats.json_document import known_language, whole_number
from service.formats.links import absolute_link
from service.formats.moments import likely_moment
from service.formats.subjects import make_subject
from service.formats.text import plain_line
from service.formats.xml_document import (
    XmlElement,
    base_of,
    children,
    language_of,
    local_name,
    namespace_of,
    text_of,
)

_ATOM = "http://www.w3.org/2005/Atom"
_DUBLIN_CORE = ("http://purl.org/dc/elements/1.1/", "http://purl.org/dc/terms/")
_RDF_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
_MEDIA = "http://search.yahoo.com/mrss"
_MAX_TTL = 7 * 24 * 60


def read_rss(root: XmlElement, address: str, aliases: Mapping[str, str] | None) -> FeedFacts:
    """Read a feed whose root is `rss` or `rdf:RDF`."""
    channel = next(children(root, "channel"), root)
    home_page = absolute_link(_own_text(channel, "link"), address)
    language = _own_text(channel, "language") or language_of(channel)
    items = [*children(channel, "item"), *(children(root, "item") if channel is not root else ())]
    prefix = "/rss/channel/item" if local_name(root).lower() == "rss" else "/RDF/item"
    facts = FeedFacts(
        title=plain_line(_own_text(channel, "title")),
        home_page=home_page,
        language=known_language(language, "", Report()),
        minutes_between_polls=_minutes(_own_text(channel, "ttl")),
    )
    for link in _atom_links(channel):
        if link.get("rel", "") == "hub" and (hub := absolute_link(link.get("href", ""), address)):
            facts.hubs.append(hub)
        if link.get("rel", "") == "self" and facts.self_url is None:
            facts.self_url = absolute_link(link.get("href", ""), address)
    stories = (
        _story(item, f"{prefix}[{n}]", home_page or address, language, aliases)
        for n, item in enumerate(islice(items, MAX_ENTRIES), 1)
    )
    facts.stories = distinct_entries(stories)
    return facts


def _story(
    item: XmlElement, place: str, feed_base: str, language: str, aliases: Mapping[str, str] | None
) -> IncomingStory | BrokenStory:
    report = Report()
    link = _link(item, feed_base)
    base = base_of(item, link or feed_base)
    date = _own_text(item, "pubDate") or _module_text(item, "date", "issued", "created")
    revision = _module_text(item, "modified", "updated")
    entry = EntryFacts(
        place=place,
        base=base,
        identity=_own_text(item, "guid") or item.get(_RDF_ABOUT, ""),
        link=link,
        title=_own_text(item, "title") or _module_text(item, "title"),
        summary=_own_text(item, "description") or _module_text(item, "abstract", "description"),
        body=_body(item),
        author=_author(item),
        language=_module_text(item, "language") or language_of(item) or language,
        subjects=list(_subjects(item)),
        pictures=entry_pictures(item, base),
        published_at=likely_moment(date),
        updated_at=likely_moment(revision),
        rights=_module_text(item, "rights"),
    )
    for text in (date, revision):
        if text and likely_moment(text) is None:
            report.remark(f"{place} (date)", f"{text[:60]!r} is no date and time")
    return entry_story(entry, report, aliases)


def _link(item: XmlElement, feed_base: str) -> str | None:
    link = absolute_link(_own_text(item, "link"), feed_base)
    if link:
        return link
    for atom_link in _atom_links(item):
        if atom_link.get("rel", "alternate") == "alternate":
            return absolute_link(atom_link.get("href", ""), feed_base)
    guid = next(children(item, "guid"), None)
    if guid is not None and guid.get("isPermaLink", "true").lower() != "false":
        return absolute_link(text_of(guid), None)
    return None


def _body(item: XmlElement) -> str:
    """Return `content:encoded`, or what else is a full text."""
    for name in ("encoded", "full-text", "body"):
        for element in children(item, name):
            if text := text_of(element):
                return text
    return ""


def _author(item: XmlElement) -> str:
    """Return `dc:creator`, or the name in `author`: `mail@example.org (Name)` is its form."""
    creators = [text_of(element) for element in children(item, "creator")]
    if any(creators):
        return ", ".join(dict.fromkeys(filter(None, creators)))
    author = _own_text(item, "author") or _module_text(item, "author")
    mail, bracket, name = author.partition("(")
    if bracket and "@" in mail:
        return name.strip().removesuffix(")").strip()
    return "" if "@" in author and " " not in author else author


def _subjects(item: XmlElement) -> Iterator[Subject | None]:
    for element in children(item, "category", "subject"):
        text = text_of(element)
        domain = element.get("domain", "")
        yield make_subject(text if domain else "", text, domain)
    for element in children(item, "keywords"):
        for keyword in text_of(element).split(","):
            yield make_subject("", keyword)


def _atom_links(element: XmlElement) -> Iterator[XmlElement]:
    return (child for child in children(element, "link") if namespace_of(child) == _ATOM)


def _own_text(element: XmlElement, name: str) -> str:
    """Return the text of RSS's own element, not of a module's of the same name."""
    for child in children(element, name):
        if namespace_of(child) in ("", namespace_of(element)) and (text := text_of(child)):
            return text
    return ""


def _module_text(element: XmlElement, *names: str) -> str:
    """Return the text of Dublin Core's or Atom's element of one of the names."""
    for child in children(element, *names):
        if namespace_of(child) in (*_DUBLIN_CORE, _ATOM) and (text := text_of(child)):
            return text
    return ""


def _minutes(ttl: str) -> int | None:
    minutes = whole_number(ttl)
    return min(minutes, _MAX_TTL) if minutes else None
