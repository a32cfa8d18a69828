"""NewsML-G2 of IPTC to stories: `newsItem`, `packageItem` and the `newsMessage` around them."""

from collections.abc import Mapping

from service.formats.composing import compose
from service.formats.incoming import (
    BrokenStory,
    Flaw,
    IncomingStory,
    MalformedDocument,
    Picture,
    Report,
    Stories,
)
from service.formats.newsml.catalogs import catalog_of
from service.formats.newsml.newsml_item import NewsItem, item_facts, own_picture
from service.formats.newsml.newsml_package import MAX_REFERENCES, list_body, references
from service.formats.xml_document import (
    XmlElement,
    children,
    local_name,
    namespace_of,
    parse_xml,
    path_of_element,
)

NAMESPACE = "http://iptc.org/std/nar/2006-10-01/"
MAX_ITEMS = 500
_STORY_ITEMS = ("newsItem", "packageItem")


def parse_newsml_g2(
    document: bytes, *, aliases: Mapping[str, str] | None = None, base: str | None = None
) -> Stories:
    """Read a `newsItem`, a `packageItem` or a `newsMessage` of them.

    In a message a package binds its pictures to its texts, and pictures are no stories of their
    own; alone, a picture is a story of one figure and a package a list of what it refers to.
    Raises `TooLarge` or `MalformedDocument` for the whole.
    """
    root = parse_xml(document)
    _check_root(root)
    if local_name(root) in _STORY_ITEMS:
        item = NewsItem(root, catalog_of(root), base, Report())
        return (_story(item, {}, aliases, alone=True),)
    elements = [
        element
        for item_set in children(root, "itemSet")
        for element in children(item_set, *_STORY_ITEMS)
    ]
    if not 0 < len(elements) <= MAX_ITEMS:
        fault = f"holds {len(elements):,} items; 1 to {MAX_ITEMS} are taken"
        raise MalformedDocument([Flaw("/newsMessage/itemSet", fault)])
    above = catalog_of(*children(root, "header"))
    items = [
        NewsItem(element, catalog_of(element, above=above), base, Report()) for element in elements
    ]
    return _stories(items, aliases)


def _check_root(root: XmlElement) -> None:
    name, namespace = local_name(root), namespace_of(root)
    if namespace not in (NAMESPACE, ""):
        raise MalformedDocument([Flaw(f"/{name}", f"is of {namespace[:100]!r}, not NewsML-G2")])
    if name not in (*_STORY_ITEMS, "newsMessage"):
        raise MalformedDocument([Flaw(f"/{name}", "is no newsItem, packageItem or newsMessage")])


def _stories(items: list[NewsItem], aliases: Mapping[str, str] | None) -> Stories:
    by_guid = {item.guid: item for item in items if item.guid}
    texts = {guid for guid, item in by_guid.items() if item.is_text}
    pictures_by_guid: dict[str, list[Picture]] = {guid: [] for guid in texts}
    own_pictures = {guid: _pictures(item) for guid, item in by_guid.items()}
    for item in items:
        targets = references(item.element)
        pictures = [picture for guid in targets for picture in own_pictures.get(guid, ())]
        readers = [item.guid] if item.is_text else [guid for guid in targets if guid in texts]
        for guid in readers:
            of_text = pictures_by_guid.setdefault(guid, [])
            of_text += pictures[: max(0, MAX_REFERENCES - len(of_text))]
    return tuple(
        _story(item, pictures_by_guid, aliases, alone=not texts)
        for item in items
        if item.is_kill or not texts or not _is_part(item, texts)
    )


def _is_part(item: NewsItem, texts: set[str]) -> bool:
    """Whether an item of a message serves its texts and is no story of its own."""
    if item.is_package:
        return any(guid in texts for guid in references(item.element))
    return item.is_picture


def _story(
    item: NewsItem,
    pictures_by_guid: Mapping[str, list[Picture]],
    aliases: Mapping[str, str] | None,
    *,
    alone: bool,
) -> IncomingStory | BrokenStory:
    facts = item_facts(item, alone=alone)
    facts.pictures += pictures_by_guid.get(item.guid, ())
    if item.is_package and not facts.body:
        facts.body = list_body(item)
    facts.place = path_of_element(item.element)
    return compose(facts, item.report, aliases)


def _pictures(item: NewsItem) -> list[Picture]:
    """Return the picture that an item may lend to others, if it has one."""
    picture = own_picture(item) if item.is_picture and not item.is_kill else None
    return [picture] if picture else []
