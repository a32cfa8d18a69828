"""ninjs of IPTC, and the variant of it that Superdesk pushes, to stories."""

from collections.abc import Iterable, Iterator, Mapping

from service.formats.composing import StoryFacts, compose, publication_status
from service.formats.incoming import (
    BrokenStory,
    Flaw,
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Report,
    Stories,
    Subject,
)
from service.formats.inline_xml import nitf_document_html
from service.formats.json_document import JsonObject, kind_of, parse_json
from service.formats.markup import body_html, picture_html, pixels
from service.formats.ninjs_dialect import RoleText, check_standard, role_texts
from service.formats.renditions import PICTURE_CLASSES, Rendition, best_rendition
from service.formats.subjects import make_subject
from service.formats.text import plain_line

MAX_ITEMS = 500
_HEADLINE_ROLES = ("main", "", "headline", "hl1", "simple", "text")
_SUMMARY_ROLES = ("summary", "abstract", "main", "lead", "standfirst", "teaser", "", "text")
_BODY_ROLES = ("main", "", "body", "full", "article", "html", "html5", "xhtml", "text")
_SHORT_ROLES = ("teaser", "summary", "short", "sms", "push", "social", "tweet", "caption")
_HTML_WORDS = ("html", "xhtml", "richtext", "richhtml")
_PLANS = ("event", "planning")
_LEADING_NAMES = ("featuremedia", "featured", "mainpic", "main", "lead", "photo", "hero")
_EXCLUDING = ("excludes", "notabout")


def parse_ninjs(
    document: bytes, *, aliases: Mapping[str, str] | None = None, base: str | None = None
) -> Stories:
    """Read a ninjs object, or an array of them, of any major version.

    `aliases` maps codes to topic paths; relative addresses are resolved against `base`. Raises
    `TooLarge` or `MalformedDocument` for the whole; a broken story among several stands alone.
    """
    value = parse_json(document)
    items = value if isinstance(value, list) else [value]
    if not items or len(items) > MAX_ITEMS:
        raise MalformedDocument([Flaw("$", f"holds {len(items):,} objects; 1 to {MAX_ITEMS} are")])
    several = isinstance(value, list)
    return tuple(
        _read(item, f"$[{index}]" if several else "$", aliases, base)
        for index, item in enumerate(items)
    )


def ninjs_story(
    members: dict[str, object], place: str = "$", aliases: Mapping[str, str] | None = None
) -> IncomingStory | BrokenStory:
    """Read one ninjs object that is already parsed."""
    return _read(members, place, aliases, None)


def _read(
    value: object, place: str, aliases: Mapping[str, str] | None, base: str | None
) -> IncomingStory | BrokenStory:
    if not isinstance(value, dict):
        return BrokenStory(place, "", (Flaw(place, f"is {kind_of(value)} instead of an object"),))
    item = JsonObject(value, place, Report())
    check_standard(item)
    _check_type(item)
    facts = _facts(item, base)
    return compose(facts, item.report, aliases)


def _check_type(item: JsonObject) -> None:
    kind = item.text("type").lower()
    if kind in _PLANS:
        item.report.flaw(f"{item.place}.type", f"{kind!r} is a plan of news, not a story")


def _facts(item: JsonObject, base: str | None) -> StoryFacts:
    status_place, _ = item.member("pubStatus", "pubstatus")
    uri_place, _ = item.member("uri", "guid")
    headlines = list(role_texts(item, "headlines", "headline"))
    headline = _preferred(headlines, _HEADLINE_ROLES)
    pictures = list(_pictures(item, base))
    facts = StoryFacts(
        place=item.place,
        uri=item.text("uri", "guid"),
        uri_place=uri_place,
        headline_place=headline.place if headline else f"{item.place}.headlines",
        version=item.version("version"),
        status=publication_status(item.text("pubStatus", "pubstatus"), status_place, item.report),
        headline=headline.value if headline else item.text("title"),
        summary=_summary(item),
        body=_body(item, base),
        language=item.language("language"),
        author=_author(item),
        subjects=list(_subjects(item)),
        pictures=pictures,
        urgency=item.urgency("urgency"),
        embargo_until=item.exact_moment("embargoedUntil", "embargoed"),
        expires_at=item.exact_moment("expires"),
        published_at=item.likely_moment("firstpublished", "firstCreated", "firstcreated"),
        updated_at=item.likely_moment("versionCreated", "versioncreated"),
        rights=item.text(
            "copyrightNotice", "copyrightnotice", "copyrightHolder", "copyrightholder"
        ),
    )
    if item.text("type").lower() in PICTURE_CLASSES and pictures:
        facts.body = picture_html(pictures[0].url, pictures[0].alt, pictures[0].caption)
    return facts


def _preferred(texts: Iterable[RoleText], roles: tuple[str, ...]) -> RoleText | None:
    """Return the text whose role comes first in `roles`, plain text before HTML."""

    def rank(text: RoleText) -> tuple[int, int]:
        place = roles.index(text.role) if text.role in roles else len(roles)
        return place, int("html" in text.content_type or "html" in text.role)

    return min((text for text in texts if text.value), key=rank, default=None)


def _summary(item: JsonObject) -> str:
    texts = role_texts(item, "descriptions", "description")
    captions = item.text("type").lower() not in PICTURE_CLASSES
    usable = [text for text in texts if not (captions and text.role == "caption")]
    summary = _preferred(usable, _SUMMARY_ROLES)
    return summary.value if summary else ""


def _body(item: JsonObject, base: str | None) -> str:
    texts = [text for text in role_texts(item, "bodies", "body") if text.value]
    body = min(texts, key=_body_rank, default=None)
    if body is None:
        return ""
    if _is_nitf(body):
        return nitf_document_html(body.value, base, item.report, body.place)
    return body_html(body.value, base, item.report, body.place)


def _body_rank(text: RoleText) -> tuple[int, int, int]:
    short = int(text.role in _SHORT_ROLES)
    role = _BODY_ROLES.index(text.role) if text.role in _BODY_ROLES else len(_BODY_ROLES)
    words = f"{text.content_type} {text.role}"
    if any(word in words for word in _HTML_WORDS):
        return short, 0, role
    if "xml" in words or "nitf" in words:
        return short, 1 if _is_nitf(text) else 3, role
    return short, 2, role


def _is_nitf(text: RoleText) -> bool:
    says_so = "nitf" in text.content_type or text.role == "nitf"
    return says_so or (text.content_type == "application/xml" and "<nitf" in text.value[:500])


def _author(item: JsonObject) -> str:
    line = item.text("by", "byline")
    if line:
        return line
    _, authors = item.member("authors")
    names = [entry.text("name") for entry in item.objects("authors")] if authors else []
    return ", ".join(filter(None, names))


def _subjects(item: JsonObject) -> Iterator[Subject | None]:
    for entry in item.objects("subjects", "subject"):
        if entry.text("rel").lower().rpartition(":")[2] not in _EXCLUDING:
            yield _subject(entry)
    for entry in item.objects("service"):
        yield make_subject(entry.text("code"), entry.text("name"), "service")
    place, keywords = item.member("keywords")
    for keyword in keywords if isinstance(keywords, list) else ():
        if isinstance(keyword, str):
            yield make_subject("", keyword)
        else:
            item.report.remark(place, f"a keyword is {kind_of(keyword)}")


def _subject(entry: JsonObject) -> Subject | None:
    uri, name = entry.text("uri"), entry.text("name")
    if uri:
        return make_subject(uri, name)
    qcode = entry.text("qcode")
    return make_subject(qcode or entry.text("literal", "code"), name, entry.text("scheme"))


def _pictures(item: JsonObject, base: str | None) -> Iterator[Picture]:
    """Yield the item's own picture and those associated with it, the leading one first."""
    picture = _picture(item, base)
    if picture:
        yield picture
    entries = [
        (name, entry)
        for name, entry in item.named_objects("associations")
        if entry.text("type").lower() in PICTURE_CLASSES or not entry.text("type")
    ]
    entries.sort(key=lambda entry: not entry[0].lower().startswith(_LEADING_NAMES))
    for _, entry in entries:
        status = publication_status(entry.text("pubStatus", "pubstatus"), "", Report())
        picture = _picture(entry, base) if status is PublicationStatus.USABLE else None
        if picture:
            yield picture


def _picture(item: JsonObject, base: str | None) -> Picture | None:
    renditions = [
        Rendition(
            address=entry.text("href"),
            name=name,
            content_type=entry.text("contentType", "contenttype", "mimetype"),
            width=pixels(entry.members.get("width")),
            height=pixels(entry.members.get("height")),
        )
        for name, entry in item.named_objects("renditions")
    ]
    best = best_rendition([entry for entry in renditions if entry.address], base)
    if best is None:
        if any(entry.address for entry in renditions):
            item.report.remark(f"{item.place}.renditions", "no picture with an address over https")
        return None
    is_picture = item.text("type").lower() in PICTURE_CLASSES or not item.text("type")
    descriptions = role_texts(item, "descriptions", "description")
    captions = [text for text in descriptions if is_picture or text.role == "caption"]
    caption = _preferred(captions, ("caption", "main", ""))
    headlines = role_texts(item, "headlines", "headline") if is_picture else ()
    headline = _preferred(headlines, _HEADLINE_ROLES)
    caption_line = plain_line(caption.value) if caption else ""
    alternative = item.text("altText", "alttext", "alt_text", *["body_text"] * is_picture)
    return Picture(
        url=best.address,
        alt=plain_line(alternative)
        or caption_line
        or (plain_line(headline.value) if headline else ""),
        caption=caption_line,
        credit=plain_line(item.text("by", "byline", "copyrightHolder", "copyrightholder")),
        width=best.width,
        height=best.height,
    )
