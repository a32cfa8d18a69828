"""One item of NewsML-G2: its metadata and its content."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from service.formats.composing import StoryFacts, publication_status
from service.formats.incoming import Picture, PublicationStatus, Report, Subject
from service.formats.inline_xml import NitfHead, inline_html, nitf_head
from service.formats.json_document import comparable_version, known_language, whole_number
from service.formats.markup import body_html, picture_html, pixels, text_html
from service.formats.moments import likely_moment
from service.formats.newsml.catalogs import Catalog
from service.formats.renditions import PICTURE_CLASSES, Rendition, best_rendition
from service.formats.subjects import make_subject
from service.formats.text import plain_line
from service.formats.xml_document import (
    XmlElement,
    children,
    exact_moment_of,
    first_child,
    language_of,
    local_name,
    path_of_element,
    text_of,
)

_SUMMARY_ROLES = ("summary", "abstract", "intro", "standfirst", "lead", "teaser", "")
_HEADLINE_ROLES = ("", "main", "headline", "hld", "title")
_CORRECTIONS = ("correction", "corrected")


@dataclass(frozen=True, slots=True)
class NewsItem:
    """An item, the catalog in force and the base of its relative addresses."""

    element: XmlElement
    catalog: Catalog
    base: str | None
    report: Report

    @property
    def guid(self) -> str:
        """The item's name."""
        return self.element.get("guid", "").strip()

    @property
    def is_package(self) -> bool:
        """Whether it only refers to other items."""
        return local_name(self.element) == "packageItem"

    @property
    def item_class(self) -> str:
        """`text`, `picture`, `graphic`, `composite` and so on; text where nothing is said."""
        item_class = first_child(self.meta, "itemClass")
        return self.catalog.code_of(item_class) or ("composite" if self.is_package else "text")

    @property
    def is_text(self) -> bool:
        """Whether it is a text, or of a class that is read like one."""
        return not self.is_package and not self.is_picture

    @property
    def is_picture(self) -> bool:
        """Whether it is a still picture."""
        return not self.is_package and self.item_class in PICTURE_CLASSES

    @property
    def is_kill(self) -> bool:
        """Whether it takes a story back."""
        status = self.catalog.code_of(first_child(self.meta, "pubStatus"))
        return publication_status(status, "", Report()) is not PublicationStatus.USABLE

    @property
    def meta(self) -> XmlElement | None:
        """`itemMeta`."""
        return first_child(self.element, "itemMeta")

    @property
    def content(self) -> XmlElement | None:
        """`contentMeta`."""
        return first_child(self.element, "contentMeta")


def item_facts(item: NewsItem, *, alone: bool) -> StoryFacts:
    """Return what an item says; `alone` makes a picture a story of one figure."""
    meta, content = item.meta, item.content
    head = nitf_head(item.element)
    headline = _by_role(item, content, "headline", _HEADLINE_ROLES)
    picture = own_picture(item)
    facts = StoryFacts(
        place=path_of_element(item.element),
        uri=item.guid,
        uri_place=path_of_element(item.element, "guid"),
        headline_place=_place(content, "headline", item),
        version=_version(item),
        status=_status(item),
        headline=headline or head.headline or text_of(first_child(meta, "title")),
        summary=_by_role(item, content, "description", _SUMMARY_ROLES) or head.abstract,
        body=_body(item),
        language=_language(item),
        author=_author(item, head),
        subjects=list(_subjects(item)),
        pictures=[picture] if picture else [],
        urgency=_urgency(item),
        embargo_until=exact_moment_of(first_child(meta, "embargoed"), item.report),
        expires_at=_latest([*children(meta, "expires")] if meta is not None else [], item.report),
        published_at=_moment(meta, "firstCreated"),
        updated_at=_moment(meta, "versionCreated"),
        is_correction=_is_correction(item),
        rights=_rights(item),
    )
    if alone and item.is_picture and picture:
        facts.body = picture_html(picture.url, picture.alt, picture.caption)
    return facts


def own_picture(item: NewsItem) -> Picture | None:
    """Return the picture among the remote contents of an item."""
    contents = first_child(item.element, "contentSet")
    renditions = [
        Rendition(
            address=remote.get("href", ""),
            name=remote.get("rendition", ""),
            content_type=remote.get("contenttype", ""),
            width=pixels(remote.get("width", "")),
            height=pixels(remote.get("height", "")),
        )
        for remote in (children(contents, "remoteContent") if contents is not None else ())
        if remote.get("href", "")
    ]
    best = best_rendition(renditions, item.base)
    if best is None:
        if renditions and item.is_picture:
            place = _place(contents, "remoteContent", item)
            item.report.remark(place, "no picture with an absolute address over https")
        return None
    caption = plain_line(_by_role(item, item.content, "description", ("caption", *_SUMMARY_ROLES)))
    headline = plain_line(_by_role(item, item.content, "headline", _HEADLINE_ROLES))
    return Picture(
        url=best.address,
        alt=caption or headline,
        caption=caption,
        credit=plain_line(_author(item, NitfHead()) or _rights(item)),
        width=best.width,
        height=best.height,
    )


def _status(item: NewsItem) -> PublicationStatus:
    """Return the `pubStatus`; an embargo without an end withholds until a version lifts it."""
    element = first_child(item.meta, "pubStatus")
    place = _place(item.meta, "pubStatus", item)
    status = publication_status(item.catalog.code_of(element), place, item.report)
    embargo = first_child(item.meta, "embargoed")
    if status is PublicationStatus.USABLE and embargo is not None and not text_of(embargo):
        item.report.remark(path_of_element(embargo), "has no end: the story is withheld")
        return PublicationStatus.WITHHELD
    return status


def _version(item: NewsItem) -> int | None:
    version = item.element.get("version", "")
    place = path_of_element(item.element, "version")
    return comparable_version(version, place, item.report) if version else None


def _urgency(item: NewsItem) -> int | None:
    element = first_child(item.content, "urgency")
    if element is None or not text_of(element):
        return None
    number = whole_number(text_of(element))
    if number is None or not 1 <= number <= 9:  # noqa: PLR2004 - the agencies' scale
        fault = f"{text_of(element)[:20]!r} is not a whole number from 1 to 9"
        item.report.flaw(path_of_element(element), fault)
        return None
    return number


def _language(item: NewsItem) -> str | None:
    element = first_child(item.content, "language")
    place = path_of_element(element if element is not None else item.element)
    tag = element.get("tag", "") if element is not None else ""
    return known_language(tag or language_of(item.element), place, item.report)


def _by_role(item: NewsItem, parent: XmlElement | None, name: str, roles: tuple[str, ...]) -> str:
    """Return the text whose role comes first in `roles`; other roles only if nothing else is."""
    texts: list[tuple[int, str]] = []
    for element in children(parent, name) if parent is not None else ():
        role = item.catalog.scheme_and_code(element.get("role", ""))[1].lower()
        rank = roles.index(role) if role in roles else len(roles)
        if text := text_of(element):
            texts.append((rank, text))
    return min(texts, key=lambda text: text[0], default=(0, ""))[1]


def _author(item: NewsItem, head: NitfHead) -> str:
    by = text_of(first_child(item.content, "by"))
    if by or head.byline:
        return by or head.byline
    creators = children(item.content, "creator") if item.content is not None else ()
    names = (text_of(first_child(creator, "name")) for creator in creators)
    return ", ".join(filter(None, names))


def _subjects(item: NewsItem) -> Iterator[Subject | None]:
    for element in children(item.content, "subject") if item.content is not None else ():
        scheme, code = item.catalog.identify(element)
        yield make_subject(code, text_of(first_child(element, "name")), scheme)
        for same in children(element, "sameAs"):
            scheme, code = item.catalog.identify(same)
            yield make_subject(code, text_of(first_child(same, "name")), scheme)
    for element in children(item.content, "keyword") if item.content is not None else ():
        yield make_subject("", text_of(element))


def _body(item: NewsItem) -> str:
    contents = first_child(item.element, "contentSet")
    if contents is None:
        return ""
    for inline in children(contents, "inlineXML"):
        return inline_html(inline, item.base, item.report, path_of_element(inline))
    for inline in children(contents, "inlineData"):
        if "html" in inline.get("contenttype", "") or not inline.get("contenttype", ""):
            return body_html(text_of(inline), item.base, item.report, path_of_element(inline))
        return text_html(text_of(inline))
    return ""


def _is_correction(item: NewsItem) -> bool:
    signals = children(item.meta, "signal") if item.meta is not None else ()
    return any(item.catalog.code_of(signal) in _CORRECTIONS for signal in signals)


def _rights(item: NewsItem) -> str:
    for info in children(item.element, "rightsInfo"):
        notice = text_of(first_child(info, "copyrightNotice"))
        holder = first_child(info, "copyrightHolder")
        name = text_of(first_child(holder, "name")) or text_of(holder)
        if notice or name:
            return notice or name
    return ""


def _latest(elements: list[XmlElement], report: Report) -> datetime | None:
    moments = [exact_moment_of(element, report) for element in elements]
    return max((moment for moment in moments if moment), default=None)


def _moment(parent: XmlElement | None, name: str) -> datetime | None:
    return likely_moment(text_of(first_child(parent, name)))


def _place(parent: XmlElement | None, name: str, item: NewsItem) -> str:
    element = first_child(parent, name)
    if element is not None:
        return path_of_element(element)
    above = parent if parent is not None else item.element
    return f"{path_of_element(above)}{'/contentMeta' * (parent is None)}/{name}"
