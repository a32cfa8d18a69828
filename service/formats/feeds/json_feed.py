"""JSON Feed 1.0 and 1.1, to stories."""

from collections.abc import Iterator, Mapping
from itertools import islice

from service.formats.feeds.entries import (
    MAX_ENTRIES,
    EntryFacts,
    FeedFacts,
    distinct_entries,
    entry_story,
)
from service.formats.incoming import (
    BrokenStory,
    Flaw,
    IncomingStory,
    MalformedDocument,
    Picture,
    Report,
    Subject,
)
from service.formats.json_document import JsonObject, known_language, parse_json
from service.formats.links import absolute_link, picture_address
from service.formats.markup import body_html, text_html
from service.formats.subjects import make_subject
from service.formats.text import plain_line
from service.formats.xml_document import MAX_FEED_BYTES

_VERSION = "://jsonfeed.org/version/1"


def read_json_feed(document: bytes, address: str, aliases: Mapping[str, str] | None) -> FeedFacts:
    """Read a feed whose `version` is JSON Feed's."""
    value = parse_json(document, MAX_FEED_BYTES)
    if not isinstance(value, dict) or _VERSION not in str(value.get("version")):
        raise MalformedDocument([Flaw("$.version", "is not that of JSON Feed")])
    report = Report()
    feed = JsonObject(value, "$", report)
    hubs = [hub.text("url") for hub in feed.objects("hubs") if hub.text("type").lower() == "websub"]
    facts = FeedFacts(
        title=plain_line(feed.text("title")),
        home_page=absolute_link(feed.text("home_page_url"), address),
        language=known_language(feed.text("language"), "", Report()),
        self_url=absolute_link(feed.text("feed_url"), address),
        hubs=[link for hub in hubs if (link := absolute_link(hub, address))],
        complete=feed.members.get("expired") is True,
    )
    author = _author(feed)
    items = list(islice(feed.objects("items"), MAX_ENTRIES))
    if report.flaws:
        raise MalformedDocument(report.flaws)
    base = facts.home_page or address
    stories = (_story(item, base, author, facts.language or "", aliases) for item in items)
    facts.stories = distinct_entries(stories)
    return facts


def _story(
    item: JsonObject,
    feed_base: str,
    feed_author: str,
    language: str,
    aliases: Mapping[str, str] | None,
) -> IncomingStory | BrokenStory:
    report = Report()
    item = JsonObject(item.members, item.place, report)
    link = absolute_link(item.text("url"), feed_base)
    base = link or feed_base
    markup, text = item.text("content_html"), item.text("content_text")
    entry = EntryFacts(
        place=item.place,
        base=base,
        identity=item.text("id"),
        link=link or absolute_link(item.text("external_url"), feed_base),
        title=item.text("title"),
        summary=item.text("summary"),
        safe_body=_body(item, markup, text, base),
        author=_author(item) or feed_author,
        language=item.text("language") or language,
        subjects=list(_subjects(item)),
        pictures=list(_pictures(item, base)),
        published_at=item.likely_moment("date_published"),
        updated_at=item.likely_moment("date_modified"),
    )
    return entry_story(entry, report, aliases)


def _body(item: JsonObject, markup: str, text: str, base: str) -> str:
    if markup:
        return body_html(markup, base, item.report, f"{item.place}.content_html")
    return text_html(text)


def _author(owner: JsonObject) -> str:
    names = [author.text("name") for author in owner.objects("authors")]
    single = owner.child("author")
    return ", ".join(filter(None, names or [single.text("name") if single else ""]))


def _subjects(item: JsonObject) -> Iterator[Subject | None]:
    place, tags = item.member("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str):
            yield make_subject(tag if ":" in tag else "", tag)
        else:
            item.report.remark(place, "a tag is not a string")


def _pictures(item: JsonObject, base: str) -> Iterator[Picture]:
    addresses = [item.text("image"), item.text("banner_image")]
    addresses += [
        attachment.text("url")
        for attachment in item.objects("attachments")
        if attachment.text("mime_type").startswith("image/")
    ]
    for address in addresses:
        url = picture_address(address, base) if address else None
        if url:
            yield Picture(url=url)
        elif address:
            item.report.remark(f"{item.place}.image", f"no address over https: {address[:200]}")
