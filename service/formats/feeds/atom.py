"""Atom (RFC 4287) with tombstones (RFC 6721), to stories."""

from collections.abc import Iterator, Mapping
from itertools import islice

from service.formats.feeds.entries import (
    MAX_ENTRIES,
    EntryFacts,
    FeedFacts,
    distinct_entries,
    entry_story,
)
from service.formats.feeds.media import entry_pictures, media_text
from service.formats.incoming import (
    BrokenStory,
    IncomingStory,
    PublicationStatus,
    Report,
    Subject,
)
from service.formats.inline_xml import inline_html
from service.formats.json_document import known_language
from service.formats.links import absolute_link
from service.formats.markup import body_html, text_html
from service.formats.moments import likely_moment
from service.formats.subjects import make_subject
from service.formats.text import plain_line
from service.formats.xml_document import (
    XmlElement,
    base_of,
    children,
    first_child,
    language_of,
    local_name,
    text_of,
)

_PAGES = ("", "text/html", "application/xhtml+xml")


def read_atom(root: XmlElement, address: str, aliases: Mapping[str, str] | None) -> FeedFacts:
    """Read a feed whose root is `feed`."""
    base = base_of(root, address) or address
    facts = FeedFacts(
        title=plain_line(text_of(first_child(root, "title"))),
        home_page=_link(root, base),
        language=known_language(language_of(root), "", Report()),
        complete=first_child(root, "complete") is not None,
    )
    for link in children(root, "link"):
        target = absolute_link(link.get("href", ""), base)
        if link.get("rel", "") == "hub" and target:
            facts.hubs.append(target)
        if link.get("rel", "") == "self" and facts.self_url is None:
            facts.self_url = target
    author = _author(root)
    entries = children(root, "entry", "deleted-entry")
    stories = (
        _story(entry, f"/feed/{local_name(entry)}[{n}]", base, author, aliases)
        for n, entry in enumerate(islice(entries, MAX_ENTRIES), 1)
    )
    facts.stories = distinct_entries(stories)
    return facts


def _story(
    element: XmlElement,
    place: str,
    feed_base: str,
    feed_author: str,
    aliases: Mapping[str, str] | None,
) -> IncomingStory | BrokenStory:
    report = Report()
    if local_name(element) == "deleted-entry":
        return entry_story(_tombstone(element, place), report, aliases)
    own_base = base_of(element, feed_base) or feed_base
    link = _link(element, own_base)
    base = own_base if base_of(element, None) else link or feed_base
    source = first_child(element, "source")
    author = _author(element) or (_author(source) if source is not None else "") or feed_author
    summary = first_child(element, "summary")
    entry = EntryFacts(
        place=place,
        base=base,
        identity=text_of(first_child(element, "id")),
        link=link,
        title=_construct(first_child(element, "title")) or media_text(element, "title"),
        summary=_construct(summary) or media_text(element, "description"),
        safe_body=_body(first_child(element, "content"), base, report, place),
        author=author,
        language=language_of(element),
        subjects=list(_subjects(element)),
        pictures=entry_pictures(element, base),
        published_at=likely_moment(text_of(first_child(element, "published", "issued"))),
        updated_at=likely_moment(text_of(first_child(element, "updated", "modified"))),
        rights=text_of(first_child(element, "rights")),
    )
    return entry_story(entry, report, aliases)


def _tombstone(element: XmlElement, place: str) -> EntryFacts:
    return EntryFacts(
        place=place,
        base=None,
        identity=element.get("ref", ""),
        status=PublicationStatus.CANCELED,
        updated_at=likely_moment(element.get("when", "")),
    )


def _construct(element: XmlElement | None) -> str:
    """Return a text construct (RFC 4287, 3.1) as its markup or text."""
    if element is not None and element.get("type", "") == "xhtml":
        return inline_html(element, None, Report(), "")
    return text_of(element)


def _body(content: XmlElement | None, base: str, report: Report, place: str) -> str:
    """Return `content` (RFC 4287, 4.1.3) as safe HTML; what is elsewhere or no text is empty."""
    if content is None:
        return ""
    spot, kind = f"{place}/content", content.get("type", "text").lower()
    if content.get("src", ""):
        report.remark(spot, f"is elsewhere: {content.get('src', '')[:200]}")
        return ""
    inner = base_of(content, base) or base
    if kind == "xhtml" or (kind.endswith("xml") and list(content)):
        return inline_html(content, inner, report, spot)
    if kind in ("html", "text/html"):
        return body_html(text_of(content), inner, report, spot)
    return text_html(text_of(content)) if kind.startswith("text") else ""


def _link(element: XmlElement, base: str) -> str | None:
    links = [link for link in children(element, "link") if _is_page(link)]
    links.sort(key=lambda link: _PAGES.index(link.get("type", "")) if link.get("type") else 0)
    targets = (absolute_link(link.get("href", ""), base) for link in links)
    return next((target for target in targets if target), None)


def _is_page(link: XmlElement) -> bool:
    return link.get("rel", "alternate") == "alternate" and link.get("type", "") in _PAGES


def _author(element: XmlElement) -> str:
    names = (text_of(first_child(author, "name")) for author in children(element, "author"))
    return ", ".join(filter(None, names))


def _subjects(element: XmlElement) -> Iterator[Subject | None]:
    for category in children(element, "category"):
        term, label = category.get("term", ""), category.get("label", "")
        scheme = category.get("scheme", "")
        yield make_subject(term if scheme else "", label or term, scheme)
